/**
 * The OpenAPI document, from the same schemas that requests are checked with.
 *
 * @module
 */
import { z } from "zod";
import { chatRequest, completionRequest, detokenizeRequest, tokenizeRequest } from "./schema.ts";

/** A request body for each path. */
const bodies = {
  "/v1/chat/completions": { schema: chatRequest, summary: "Answer a conversation" },
  "/v1/completions": { schema: completionRequest, summary: "Continue a text" },
  "/tokenize": { schema: tokenizeRequest, summary: "Token ids of a text or a conversation" },
  "/detokenize": { schema: detokenizeRequest, summary: "The text of token ids" },
} as const;

/** What can be read at each path. */
const pages = {
  "/v1/models": "The model",
  "/v1/models/{model}": "The model, by its name",
  "/health": "200 while the server works",
  "/ready": "200 while the server answers",
  "/metrics": "Figures in the format of Prometheus",
} as const;

const errorBody = {
  type: "object",
  required: ["error"],
  properties: {
    error: {
      type: "object",
      required: ["message", "type", "param", "code"],
      properties: {
        message: { type: "string" },
        type: { type: "string" },
        param: { type: ["string", "null"] },
        code: { type: ["string", "null"] },
      },
    },
  },
};

/** The document, version 3.1. */
export function openApiDocument(model: string): object {
  const error = { description: "Refused", content: { "application/json": { schema: errorBody } } };
  const posts = Object.entries(bodies).map(([path, { schema, summary }]) => [path, {
    post: {
      summary,
      requestBody: {
        required: true,
        content: { "application/json": { schema: z.toJSONSchema(schema, { io: "input" }) } },
      },
      responses: { 200: { description: "Done" }, default: error },
    },
  }]);
  const gets = Object.entries(pages).map(([path, summary]) => [path, {
    get: {
      summary,
      ...(path.includes("{model}")
        ? {
          parameters: [{ name: "model", in: "path", required: true, schema: { type: "string" } }],
        }
        : {}),
      responses: { 200: { description: "Done" }, default: error },
    },
  }]);
  return {
    openapi: "3.1.0",
    info: { title: `Denotron: ${model}`, version: "1" },
    components: { securitySchemes: { key: { type: "http", scheme: "bearer" } } },
    security: [{ key: [] }, {}],
    paths: Object.fromEntries([...posts, ...gets]),
  };
}
