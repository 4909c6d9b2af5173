/** `deno task serve`, as a process. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { main } from "../../cli/serve.ts";
import { runMain, withFolder, writeTinyModel } from "./support.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));

/** A server in a process of its own. */
interface ServeProcess {
  readonly url: string;
  readonly child: Deno.ChildProcess;
  /** How it ended, and what it said. */
  ended(): Promise<{ code: number; errors: string }>;
}

async function serve(model: string, ...args: string[]): Promise<ServeProcess> {
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      ...[
        "run",
        "-A",
        "--no-check",
        "--config",
        join(root, "deno.json"),
        join(root, "cli/serve.ts"),
      ],
      ...["--model", model, "--port", "0", "--threads", "1", ...args],
    ],
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const errors = new Response(child.stderr).text();
  const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  while (!text.includes("\n")) {
    const part = await reader.read();
    if (part.done) break;
    text += part.value;
  }
  assert.match(
    text,
    /^http:\/\/127\.0\.0\.1:\d+\n$/,
    `it says ${text}, ${text === "" ? await errors : ""}`,
  );
  return {
    url: text.trim(),
    child,
    async ended() {
      await reader.cancel();
      const { code } = await child.status;
      return { code, errors: await errors };
    },
  };
}

function withModel(test: (model: string) => Promise<void>): Promise<void> {
  return withFolder(async (folder) => {
    const model = join(folder, "mine");
    await writeTinyModel(model);
    await test(model);
  });
}

function ask(url: string, fields: object): Promise<Response> {
  return fetch(`${url}/v1/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ prompt: "hello", max_tokens: 8, ...fields }),
  });
}

Deno.test("the server answers under the model's name, and SIGTERM lets answers finish", () =>
  withModel(async (model) => {
    const { url, child, ended } = await serve(model);
    const { model: name, usage } = await (await ask(url, {})).json();
    assert.equal(name, "mine");
    assert.ok(usage.completion_tokens <= 8);
    const running = await ask(url, { stream: true, ignore_eos: true, max_tokens: 50 });
    child.kill("SIGTERM");
    const text = await running.text();
    assert.ok(text.includes('"finish_reason":"length"') && text.endsWith("data: [DONE]\n\n"));
    const { code, errors } = await ended();
    assert.equal(code, 0);
    assert.match(errors, /being loaded.*listens\n/);
    assert.match(errors, /ready\. .* parameters in f32/);
    assert.match(errors, /all answers are complete\n$/);
    const requests = errors.split("\n").filter((line) => line.startsWith("{"));
    assert.ok(requests.every((line) => JSON.parse(line).event === "request"), errors);
  }));

Deno.test("SIGINT without time to wait cuts answers off", () =>
  withModel(async (model) => {
    const { url, child, ended } = await serve(model, "--shutdown-timeout", "0");
    const running = await ask(url, { stream: true, ignore_eos: true, max_tokens: 55, n: 16 });
    child.kill("SIGINT");
    assert.ok((await running.text()).endsWith("data: [DONE]\n\n"));
    assert.equal((await ended()).code, 0);
  }));

Deno.test("a model that is broken ends the command with what is wrong", () =>
  withModel(async (model) => {
    Deno.truncateSync(join(model, "model.safetensors"), 1000);
    const { code, errors } = await runMain(main, ["--model", model, "--port", "0"]);
    assert.equal(code, 2);
    assert.match(errors, /model\.safetensors/);
  }));

const refused: readonly [string[], RegExp][] = [
  [["--host", "0.0.0.0"], /there is no key\. Add --api-key KEY, or --open/],
  [["--port", "70000"], /--port must be a whole number from 0 to 65535/],
  [["--api-key-file", "nowhere"], /nowhere/],
  [["--prot", "80"], /Did you mean --port\?/],
];

for (const [args, message] of refused) {
  Deno.test(`serve ${args.join(" ")} is refused with what to do`, () =>
    withModel(async (model) => {
      const { code, errors } = await runMain(main, ["--model", model, ...args]);
      assert.equal(code, 2, errors);
      assert.match(errors, message);
    }));
}

Deno.test("a port that is taken is named", () =>
  withModel(async (model) => {
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const { port } = listener.addr;
    const { code, errors } = await runMain(main, ["--model", model, "--port", String(port)]);
    assert.equal(code, 2);
    assert.match(errors, new RegExp(`127\\.0\\.0\\.1:${port} is taken.*--port`));
  }));
