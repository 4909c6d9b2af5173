/**
 * `deno task chat`: a conversation with a model in the terminal.
 *
 * @module
 */
import { existsSync, writeFileSync } from "node:fs";
import { runCommand } from "./command.ts";
import { Conversation } from "./conversation.ts";
import { exitCodeOf, succeeded, UsageError } from "./errors.ts";
import { type LineReader, readLines } from "./lines.ts";
import { modelOptions, type OpenModel, openModel } from "./model.ts";
import { type Command, integer, userPath, type Values } from "./options.ts";
import { conversationOptions } from "./prompt.ts";
import { samplingOptions } from "./sampling.ts";
import { nearest } from "../text/spelling.ts";
import { dim, printable, systemTerminal, type Terminal } from "./terminal.ts";

const options = {
  ...modelOptions,
  ...conversationOptions,
  maxTokens: integer("N", "The most tokens of an answer", { min: 1, fallback: 1024 }),
  ...samplingOptions(0.7),
  seed: integer("N", "Decides what is drawn (default: new each time)", {
    min: 0,
    max: Number.MAX_SAFE_INTEGER,
    fallback: undefined,
  }),
};

const chatCommands = [
  ["/help", "this list"],
  ["/thinking on|off", "the reasoning switch, from the next answer on"],
  ["/reset", "forget the conversation"],
  ["/save FILE", "write the conversation as JSON"],
  ["/exit", "leave; so does Ctrl-D"],
] as const;
const commandNames = chatCommands.map(([usage]) => usage.split(" ")[0]);

const command: Command<typeof options> = {
  name: "chat",
  summary: "A conversation with a model in the terminal. Ctrl-C stops an answer, Ctrl-D leaves.",
  options,
  examples: [
    "--model ./model",
    '--model org/name --thinking on --system "Answer in French."',
    "--model model.gguf < questions.txt > answers.txt",
  ],
  notes: [
    `In the conversation: ${chatCommands.map(([usage]) => usage).join(", ")}.`,
    "Answers go to stdout, the model's thinking and everything else to stderr.",
  ],
};

/** Runs the command; returns its exit code. */
export function main(args: readonly string[], terminal: Terminal): Promise<number> {
  return runCommand(command, args, terminal, async (values) => {
    using model = await openModel(values, terminal);
    const seed = values.seed ?? crypto.getRandomValues(new Uint32Array(1))[0];
    using conversation = new Conversation(model, { ...values, seed }, values.system);
    conversation.thinking = values.thinking;
    greet(model, terminal);
    const left = await talk(new Chat(conversation, values, terminal), readLines(terminal));
    // Ctrl-D leaves the cursor behind the prompt.
    if (!left && terminal.isInteractive.input) terminal.report("\n");
    return succeeded;
  });
}

function greet({ name, tokenizer }: OpenModel, terminal: Terminal): void {
  if (tokenizer.chatTemplate === undefined) {
    terminal.report(
      `chat: ${name} has no chat template, so a plain one is used. Was it trained to answer?\n`,
    );
  }
  if (terminal.isInteractive.input) terminal.report(dim("/help lists commands.\n", terminal));
}

/** Returns whether a command ended it, rather than the end of the input. */
async function talk(chat: Chat, lines: LineReader): Promise<boolean> {
  for (let line = await lines.next("> "); line !== null; line = await lines.next("> ")) {
    if (line.trim() === "") continue;
    if (!await chat.take(line.trim())) return true;
  }
  return false;
}

/** Answers lines, and obeys those that begin with a slash. */
class Chat {
  readonly #conversation: Conversation;
  readonly #values: Values<typeof options>;
  readonly #terminal: Terminal;
  /** What this conversation wrote, and so may write again. */
  readonly #saved = new Set<string>();

  constructor(conversation: Conversation, values: Values<typeof options>, terminal: Terminal) {
    this.#conversation = conversation;
    this.#values = values;
    this.#terminal = terminal;
  }

  /** Returns whether the conversation goes on. Whatever goes wrong with one line, the next may go well. */
  async take(line: string): Promise<boolean> {
    try {
      if (!line.startsWith("/")) await this.#answer(line);
      else return this.#obey(line);
    } catch (error) {
      if (error instanceof Deno.errors.BrokenPipe || exitCodeOf(error) === null) throw error;
      this.#terminal.report(`${(error as Error).message}\n`);
    }
    return true;
  }

  async #answer(said: string): Promise<void> {
    const terminal = this.#terminal;
    const start = performance.now();
    let thought = false;
    const { stopReason, tokens } = await terminal.interruptible((signal) =>
      this.#conversation.answer(said, signal, ({ reasoning, content }) => {
        if (reasoning !== "") terminal.report(dim(printable(reasoning, terminal), terminal));
        if (content !== "" && thought) terminal.report("\n\n");
        thought = reasoning !== "" || (thought && content === "");
        if (content !== "") terminal.write(printable(content, terminal));
      })
    );
    terminal.write("\n");
    const rate = (1000 * tokens / (performance.now() - start)).toFixed(1);
    const reasons = {
      length: "cut at --max-tokens, ",
      context: "the model's context is full, ",
      interrupted: "stopped, ",
    };
    const reason = stopReason in reasons ? reasons[stopReason as keyof typeof reasons] : "";
    terminal.report(dim(`(${reason}${tokens} tokens, ${rate}/s)\n`, terminal));
  }

  #obey(line: string): boolean {
    const [name, ...words] = line.split(/\s+/);
    const argument = words.join(" ");
    switch (name) {
      case "/exit":
        return false;
      case "/help":
        this.#terminal.report(
          chatCommands.map(([usage, help]) => `  ${usage.padEnd(18)}${help}\n`).join(""),
        );
        return true;
      case "/reset":
        this.#conversation.reset();
        this.#terminal.report("chat: forgotten\n");
        return true;
      case "/thinking":
        this.#switchThinking(argument);
        return true;
      case "/save":
        this.#save(argument);
        return true;
    }
    const meant = nearest(name, commandNames);
    const fix = meant === null ? "/help lists them." : `Did you mean ${meant}?`;
    throw new UsageError(`chat: there is no command ${name}. ${fix}`);
  }

  #switchThinking(state: string): void {
    if (state !== "on" && state !== "off") {
      const now = this.#conversation.thinking ?? "left to the model";
      throw new UsageError(`chat: thinking is ${now}. Type /thinking on, or /thinking off.`);
    }
    this.#conversation.thinking = state;
    this.#terminal.report(`chat: thinking is ${state}\n`);
  }

  #save(given: string): void {
    if (given === "") throw new UsageError("chat: /save needs a file. Type /save FILE.");
    const file = userPath(given);
    if (existsSync(file) && !this.#saved.has(file)) {
      throw new UsageError(`chat: ${given} exists already. Choose another name.`);
    }
    const { messages } = this.#conversation;
    writeFileSync(file, JSON.stringify({ model: this.#values.model, messages }, null, 2) + "\n");
    this.#saved.add(file);
    this.#terminal.report(`chat: ${messages.length} messages written to ${given}\n`);
  }
}

if (import.meta.main) Deno.exit(await main(Deno.args, systemTerminal()));
