/**
 * The routes.
 *
 * @module
 */
import { type Context, Hono } from "hono";
import { cors } from "hono/cors";
import { answerChat, answerCompletion, type RequestState } from "./answering.ts";
import { readJson } from "./body.ts";
import { ApiError, toApiError } from "./errors.ts";
import type { LogFields } from "./log.ts";
import { openApiDocument } from "./openapi.ts";
import { pagePaths } from "./page.ts";
import { encodeMessages } from "./prompts.ts";
import { checkRequest, detokenizeRequest, tokenizeRequest } from "./schema.ts";
import type { Server } from "./server.ts";
import { encodePrompt } from "../text/mod.ts";

type Variables = { Bindings: Partial<Delivery>; Variables: { state: RequestState } };

/** What the HTTP server tells of a response. */
export interface Delivery {
  /** Settles when the response was sent, or cannot be sent any more. */
  readonly completed: Promise<void>;
}

/** Open to everyone: what probes and browsers need before they have a key. */
const publicPaths: ReadonlySet<string> = new Set([...pagePaths, "/health", "/ready"]);

/** What a client may call its request. */
const requestName = /^[\w.:-]{1,128}$/;

/** The application; `page` answers for the chat page. */
export function createApp(
  server: Server,
  page: (path: string) => Response,
): { fetch(request: Request, delivery?: Delivery): Response | Promise<Response> } {
  const app = new Hono<Variables>();
  const { origins } = server.options;
  if (origins.length > 0) app.use(cors({ origin: [...origins] }));
  app.use((context, next) => watch(server, context, next));
  app.use(async (context, next) => {
    if (!publicPaths.has(context.req.path)) server.keys.check(context.req.raw.headers);
    await next();
  });

  for (const path of pagePaths) app.get(path, () => page(path));
  app.get("/health", () => health(server));
  app.get("/ready", () => ready(server));
  app.get("/metrics", () => metrics(server));
  app.get("/openapi.json", (context) => context.json(openApiDocument(server.options.model)));
  app.get("/v1/models", (context) => context.json({ object: "list", data: [modelOf(server)] }));
  app.get("/v1/models/:name{.+}", (context) => {
    server.checkModel(context.req.param("name"));
    return context.json(modelOf(server));
  });
  app.post("/v1/chat/completions", (context) => answerChat(server, context, context.get("state")));
  app.post("/v1/completions", (context) => answerCompletion(server, context, context.get("state")));
  app.post("/tokenize", (context) => tokenize(server, context));
  app.post("/detokenize", (context) => detokenize(server, context));

  app.notFound((context) => unknownRoute(app, context).response);
  app.onError((error) => {
    const known = toApiError(error);
    if (known !== error) {
      server.options.log("error", "defect", { message: String(error.stack ?? error) });
    }
    return known.response;
  });
  return app;
}

/** Gives the request a name, counts the response, and writes a line when it is over. */
async function watch(
  server: Server,
  context: Context<Variables>,
  next: () => Promise<void>,
): Promise<void> {
  const { method, path, raw } = context.req;
  const given = raw.headers.get("x-request-id");
  const id = given !== null && requestName.test(given) ? given : crypto.randomUUID();
  const begin = performance.now();
  let written = false;
  const finish = (fields: LogFields): void => {
    if (written) return;
    written = true;
    const ms = Math.round(performance.now() - begin);
    server.options.log("info", "request", { id, method, path, ms, ...fields });
  };
  const key = server.keys.name(raw.headers);
  const { completed = new Promise<void>(() => {}) } = context.env ?? {};
  context.set("state", { id, key, finish, completed });
  await next();
  const { status, headers } = context.res;
  headers.set("x-request-id", id);
  server.figures.responded(status);
  // A stream is over when its last event has gone.
  const streams = headers.get("content-type")?.startsWith("text/event-stream") ?? false;
  if (!streams && !publicPaths.has(path)) finish({ status });
}

function health(server: Server): Response {
  const { state } = server;
  if (state !== "broken") return Response.json({ status: "ok", state });
  const reason = server.options.host.dead?.message ?? "The engine is silent.";
  return Response.json({ status: "broken", reason }, { status: 503 });
}

function ready(server: Server): Response {
  const { state } = server;
  return Response.json({ status: state }, { status: state === "ready" ? 200 : 503 });
}

function metrics(server: Server): Response {
  const type = "text/plain; version=0.0.4; charset=utf-8";
  return new Response(server.figures.text, { headers: { "content-type": type } });
}

function modelOf({ options: { model }, created, description }: Server): object {
  return {
    id: model,
    object: "model",
    created,
    owned_by: "denotron",
    root: model,
    parent: null,
    max_model_len: description?.context ?? null,
  };
}

async function tokenize(server: Server, context: Context): Promise<Response> {
  const body = await readJson(context.req.raw, server.options.limits);
  const request = checkRequest(tokenizeRequest, body);
  server.checkModel(request.model);
  const { model } = server, { tokenizer, context: length } = model;
  const { prompt, messages } = request;
  const tokens = messages !== undefined
    ? encodeMessages(model, messages, request.chat_template_kwargs, {
      addGenerationPrompt: request.add_generation_prompt,
    }).ids
    : request.add_special_tokens && prompt !== ""
    ? encodePrompt(tokenizer, prompt!)
    : tokenizer.encode(prompt!);
  return context.json({ count: tokens.length, max_model_len: length, tokens });
}

async function detokenize(server: Server, context: Context): Promise<Response> {
  const body = await readJson(context.req.raw, server.options.limits);
  const request = checkRequest(detokenizeRequest, body);
  server.checkModel(request.model);
  const { tokenizer } = server.model;
  const outside = request.tokens.find((id) => id >= tokenizer.vocabularySize);
  if (outside !== undefined) {
    throw new ApiError(`Token ${outside} is not one of ${tokenizer.vocabularySize}.`, {
      status: 400,
      param: "tokens",
    });
  }
  return context.json({ prompt: tokenizer.decode(request.tokens) });
}

/** 405 for a path that another method has, else 404. */
function unknownRoute(app: Hono<Variables>, context: Context): ApiError {
  const { method, path } = context.req;
  const others = app.routes.filter((route) => route.method !== "ALL" && route.path === path);
  if (others.length > 0) {
    const allowed = others.map((route) => route.method).join(", ");
    return new ApiError(`${path} takes ${allowed}, not ${method}.`, {
      status: 405,
      code: "method_not_allowed",
    });
  }
  return new ApiError(`Unknown request URL: ${method} ${path.slice(0, 200)}.`, {
    status: 404,
    code: "unknown_url",
  });
}
