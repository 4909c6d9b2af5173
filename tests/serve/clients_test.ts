/** The official clients, over a socket. */
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateText, streamText } from "ai";
import assert from "node:assert/strict";
import OpenAI from "openai";
import { defaultLimits } from "../../serve/mod.ts";
import { eventually, withServer } from "./support.ts";

const messages = [{ role: "user" as const, content: "Once upon a time" }];

function clientOf(
  url: string,
  options: Partial<ConstructorParameters<typeof OpenAI>[0]> = {},
): OpenAI {
  return new OpenAI({ baseURL: `${url}/v1`, apiKey: "none", maxRetries: 0, ...options });
}

Deno.test("openai: models, chat and completions answer", () =>
  withServer(async ({ url }) => {
    const client = clientOf(url);
    const models = await client.models.list();
    assert.deepEqual(models.data.map(({ id }) => id), ["tiny"]);
    assert.equal((await client.models.retrieve("tiny")).id, "tiny");
    const chat = await client.chat.completions.create({
      model: "tiny",
      messages,
      max_completion_tokens: 8,
      temperature: 0,
    });
    const [{ message, finish_reason }] = chat.choices;
    assert.equal(message.role, "assistant");
    assert.ok(["stop", "length"].includes(finish_reason));
    assert.ok(chat.usage!.completion_tokens <= 8 && chat.usage!.prompt_tokens > 0);
    const text = await client.completions.create({
      model: "tiny",
      prompt: "Once upon a time",
      max_tokens: 8,
      temperature: 0,
      echo: true,
    });
    assert.ok(text.choices[0].text.startsWith("Once upon a time"));
  }));

Deno.test("openai: a stream gives the same text, and its usage", () =>
  withServer(async ({ url }) => {
    const client = clientOf(url);
    const request = { model: "tiny", messages, max_tokens: 20, temperature: 1, seed: 7 };
    const whole = await client.chat.completions.create(request);
    const stream = await client.chat.completions.create({
      ...request,
      stream: true,
      stream_options: { include_usage: true },
    });
    let text = "", usage, reason;
    const ids = new Set<string>();
    for await (const chunk of stream) {
      ids.add(chunk.id);
      text += chunk.choices[0]?.delta.content ?? "";
      reason = chunk.choices[0]?.finish_reason ?? reason;
      usage = chunk.usage ?? usage;
    }
    assert.equal(text, whole.choices[0].message.content);
    assert.equal(reason, whole.choices[0].finish_reason);
    const counts = ({ completion_tokens, prompt_tokens }: OpenAI.CompletionUsage): number[] => [
      completion_tokens,
      prompt_tokens,
    ];
    assert.deepEqual(counts(usage!), counts(whole.usage!));
    assert.equal(ids.size, 1);
  }));

Deno.test("openai: log-probabilities spell the text, the most likely first", () =>
  withServer(async ({ url }) => {
    const { choices: [{ message, logprobs }] } = await clientOf(url).chat.completions.create({
      model: "tiny",
      messages,
      max_tokens: 6,
      temperature: 0,
      logprobs: true,
      top_logprobs: 3,
    });
    const bytes = logprobs!.content!.flatMap((token) => token.bytes!);
    const text = new TextDecoder().decode(Uint8Array.from(bytes));
    assert.equal(text.trimStart(), message.content!.trimStart());
    for (const { logprob, top_logprobs, token } of logprobs!.content!) {
      assert.equal(top_logprobs.length, 3);
      assert.equal(top_logprobs[0].token, token);
      assert.ok(logprob <= 0 && Math.abs(top_logprobs[0].logprob - logprob) < 1e-6);
      assert.ok(top_logprobs[0].logprob >= top_logprobs[1].logprob);
    }
  }));

Deno.test("openai: several answers to one request differ, and a seed repeats them", () =>
  withServer(async ({ url }) => {
    const ask = async (): Promise<string[]> => {
      const { choices } = await clientOf(url).chat.completions.create({
        model: "tiny",
        messages,
        n: 4,
        max_tokens: 16,
        seed: 1,
        temperature: 1,
      });
      assert.deepEqual(choices.map(({ index }) => index), [0, 1, 2, 3]);
      return choices.map(({ message }) => message.content!);
    };
    const texts = await ask();
    assert.ok(new Set(texts).size > 1);
    assert.deepEqual(await ask(), texts);
  }));

Deno.test("openai: an aborted stream frees the engine", () =>
  withServer(async ({ url, figure, host }) => {
    const stream = await clientOf(url).completions.create({
      model: "tiny",
      prompt: "Once",
      max_tokens: 50,
      stream: true,
    });
    for await (const _ of stream) break; // leaves, and the client aborts
    stream.controller.abort();
    await eventually(async () => await figure("num_requests") === 0, "the request ends");
    await eventually(() => host.running === 0, "the engine is free");
  }));

Deno.test("openai: errors have their types", () =>
  withServer(async ({ url }) => {
    const client = clientOf(url);
    const chat = (fields: object): Promise<unknown> =>
      client.chat.completions.create({ model: "tiny", messages, ...fields } as never);
    await assert.rejects(chat({ temperature: 9 }), OpenAI.BadRequestError);
    await assert.rejects(chat({ model: "other" }), OpenAI.NotFoundError);
    await assert.rejects(
      chat({ max_tokens: 1e6 }),
      (error: InstanceType<typeof OpenAI.APIError>) => {
        assert.equal(error.code, "context_length_exceeded");
        assert.match(error.message, /1000\d\d\d/);
        return error instanceof OpenAI.BadRequestError;
      },
    );
  }));

Deno.test("openai: keys are asked for, and wrong ones refused", () =>
  withServer(async ({ url }) => {
    await assert.rejects(clientOf(url).models.list(), OpenAI.AuthenticationError);
    await clientOf(url, { apiKey: "right" }).models.list();
  }, { server: { keys: ["right"] } }));

Deno.test("openai: a busy server is asked again after a while", () =>
  withServer(async ({ url, post, log }) => {
    const slow = await post("/v1/completions", {
      prompt: "Once",
      max_tokens: 200,
      ignore_eos: true,
      stream: true,
    });
    const client = clientOf(url, { maxRetries: 5 });
    const answer = client.chat.completions.create({ model: "tiny", messages, max_tokens: 2 });
    await slow.text();
    assert.ok((await answer).choices.length === 1);
    assert.ok(log.length >= 2);
  }, { server: { limits: { ...defaultLimits, maxRequests: 1 } } }));

Deno.test("ai: text and streams, with usage", () =>
  withServer(async ({ url }) => {
    const provider = createOpenAICompatible({
      name: "denotron",
      baseURL: `${url}/v1`,
      includeUsage: true,
    });
    const request = {
      model: provider("tiny"),
      prompt: "Once upon a time",
      maxOutputTokens: 12,
      temperature: 0,
    };
    const { text, usage } = await generateText(request);
    const stream = streamText(request);
    let streamed = "";
    for await (const piece of stream.textStream) streamed += piece;
    assert.equal(streamed, text);
    assert.equal((await stream.usage).outputTokens, usage.outputTokens);
  }));
