/**
 * `deno task generate`: continues a text, or answers a message, once.
 *
 * @module
 */
import { ChatTemplate, encodeConversation, encodePrompt, endsOf, StopText } from "../text/mod.ts";
import { runCommand } from "./command.ts";
import { interrupted, succeeded, UsageError } from "./errors.ts";
import { modelOptions, type OpenModel, openModel } from "./model.ts";
import { type Command, flag, integer, text, texts, type Values } from "./options.ts";
import { checkPrompt, conversationOptions, isOn } from "./prompt.ts";
import { samplingOptions } from "./sampling.ts";
import { Session, type StopReason } from "./session.ts";
import { dim, printable, systemTerminal, type Terminal } from "./terminal.ts";

const options = {
  ...modelOptions,
  prompt: text("TEXT", "What to continue or answer; - reads stdin (default: start from nothing)"),
  maxTokens: integer("N", "The most new tokens", { min: 1, fallback: 256 }),
  ...samplingOptions(0),
  seed: integer("N", "Decides what is drawn", {
    min: 0,
    max: Number.MAX_SAFE_INTEGER,
    fallback: 0,
  }),
  n: integer("N", "How many texts to make", { min: 1, max: 1000, fallback: 1 }),
  stop: texts("TEXT", "Ends the text where this begins; may be given more than once"),
  raw: flag("Continue the prompt as it is, without the model's chat template"),
  ...conversationOptions,
  json: flag("End with one line of JSON"),
};

const command: Command<typeof options> = {
  name: "generate",
  summary:
    "Text from a model: continues a prompt, or answers it when the model has a chat template.",
  options,
  examples: [
    '--model ./model --prompt "Once upon a time" --max-tokens 99',
    "--model m.bin --tokenizer tok512.model --temperature 0.8",
    '--model org/name --prompt "2+2?" --thinking off --json',
    "--model model.gguf --prompt - < question.txt",
  ],
  notes: [
    "Text goes to stdout as it is made, everything else to stderr. Equal seeds give equal texts.",
  ],
};

/** One text that was made. */
interface Sample {
  readonly text: string;
  readonly ids: readonly number[];
  readonly stopReason: StopReason;
}

/** Runs the command; returns its exit code. */
export function main(args: readonly string[], terminal: Terminal): Promise<number> {
  return runCommand(command, args, terminal, async (values) => {
    if (values.n > 1 && values.temperature === 0) {
      throw new UsageError(
        `generate: --n ${values.n} texts at temperature 0 would all be the same. Add --temperature 0.8.`,
      );
    }
    const prompt = values.prompt === "-" ? await readAll(terminal) : values.prompt ?? "";
    const start = performance.now();
    using model = await openModel(values, terminal);
    const loadSeconds = (performance.now() - start) / 1000;
    return await generate(model, prompt, values, loadSeconds, terminal);
  });
}

async function readAll({ input }: Terminal): Promise<string> {
  // The line break that ends a file is not part of what it says.
  return (await new Response(input).text()).replace(/\r?\n$/, "");
}

async function generate(
  model: OpenModel,
  prompt: string,
  values: Values<typeof options>,
  loadSeconds: number,
  terminal: Terminal,
): Promise<number> {
  const { decoder, tokenizer } = model;
  const asChat = !values.raw && prompt !== "" && tokenizer.chatTemplate !== undefined;
  if (!asChat && (values.system !== undefined || values.thinking !== undefined)) {
    throw new UsageError(
      "generate: --system and --thinking need a chat template, and none is used here. Leave them out, or use chat.",
    );
  }
  const promptIds = asChat ? encodeMessage(model, prompt, values) : encodePrompt(tokenizer, prompt);
  checkPrompt(promptIds, decoder.spec);
  using session = new Session(decoder);
  const samples: Sample[] = [];
  const start = performance.now();
  let firstSeconds = 0;
  await terminal.interruptible(async (signal) => {
    for (let sample = 0; sample < values.n && !signal.aborted; sample++) {
      if (values.n > 1) terminal.report(dim(`text ${sample + 1} of ${values.n}\n`, terminal));
      if (!asChat && terminal.isInteractive.output) terminal.report(dim(prompt, terminal));
      const onFirst = (): void => void (firstSeconds ||= (performance.now() - start) / 1000);
      const run = { session, promptIds, asChat, sample, signal, onFirst };
      samples.push(await stream(model, run, values, terminal));
    }
  });
  const seconds = (performance.now() - start) / 1000;
  const tokens = samples.reduce((sum, { ids }) => sum + ids.length, 0);
  const timing = { seconds, firstSeconds, loadSeconds, tokens };
  terminal.report(dim(timingLine(promptIds.length, samples, timing), terminal) + "\n");
  if (values.json) {
    const [first] = samples;
    terminal.write(
      JSON.stringify({
        model: model.name,
        prompt,
        ...first,
        promptIds,
        tokens,
        seconds,
        tokensPerSecond: tokens / seconds,
        firstTokenSeconds: firstSeconds,
        loadSeconds,
        dtype: decoder.dtype,
        ...(values.n > 1 ? { samples } : {}),
      }) + "\n",
    );
  }
  return samples.some(({ stopReason }) => stopReason === "interrupted") ? interrupted : succeeded;
}

function encodeMessage(
  { tokenizer }: OpenModel,
  prompt: string,
  { system, thinking }: Values<typeof options>,
): number[] {
  const messages = [
    ...system === undefined ? [] : [{ role: "system", content: system }],
    { role: "user", content: prompt },
  ];
  return encodeConversation(tokenizer, ChatTemplate.for(tokenizer), messages, {
    thinking: isOn(thinking),
  }).ids;
}

/** What making one text takes besides the options. */
interface Run {
  readonly session: Session;
  readonly promptIds: readonly number[];
  readonly asChat: boolean;
  readonly sample: number;
  readonly signal: AbortSignal;
  readonly onFirst: () => void;
}

/** Makes one text and writes it as it comes. */
async function stream(
  { tokenizer }: OpenModel,
  { session, promptIds, asChat, sample, signal, onFirst }: Run,
  values: Values<typeof options>,
  terminal: Terminal,
): Promise<Sample> {
  const decoding = tokenizer.stream({ special: false });
  // A continuation goes on in the middle of a text, where a leading space is one.
  if (!asChat) decoding.pushAll(promptIds);
  const stops = new StopText(values.stop);
  const ids: number[] = [];
  let text = "";
  const show = (piece: string): void => {
    text += piece;
    terminal.write(printable(piece, terminal));
  };
  const tokens = session.continue(promptIds, {
    ...values,
    sample,
    signal,
    ends: endsOf(tokenizer),
    vocabularySize: tokenizer.vocabularySize,
  });
  let stopReason: StopReason = "stop";
  while (!stops.stopped) {
    const next = await tokens.next();
    onFirst();
    if (next.done) {
      stopReason = next.value;
      break;
    }
    ids.push(next.value);
    show(stops.push(decoding.push(next.value)));
  }
  if (!stops.stopped) {
    show(stops.push(decoding.flush()) + stops.flush());
    if (stops.stopped) stopReason = "stop";
  }
  terminal.write("\n");
  return { text, ids, stopReason };
}

function timingLine(
  promptTokens: number,
  samples: readonly Sample[],
  timing: { seconds: number; firstSeconds: number; loadSeconds: number; tokens: number },
): string {
  const { seconds, firstSeconds, loadSeconds, tokens } = timing;
  const reasons: Record<StopReason, string> = {
    end: "the text ended",
    stop: "a --stop text came",
    length: "--max-tokens reached",
    context: "the model's context is full",
    interrupted: "interrupted",
  };
  const rate = (tokens / seconds).toFixed(tokens / seconds < 10 ? 1 : 0);
  return `${promptTokens} prompt tokens, ${tokens} new in ${
    seconds.toFixed(2)
  } s (${rate}/s, first after ` +
    `${Math.round(1000 * firstSeconds)} ms, loading ${loadSeconds.toFixed(2)} s); ` +
    reasons[samples.at(-1)!.stopReason];
}

if (import.meta.main) Deno.exit(await main(Deno.args, systemTerminal()));
