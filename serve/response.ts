/**
 * Answers as responses in the dialect of their endpoint, whole or piece by piece.
 *
 * @module
 */
import type { AnswerDelta } from "./answer.ts";
import { type ApiError, toApiError } from "./errors.ts";
import { EventStream, type EventStreamOptions } from "./event_stream.ts";
import { Answers, type Generation, type GenerationTools } from "./generation.ts";
import { type Ending, timingsOf, usageOf, type WholeAnswer } from "./openai/dialect.ts";

/** A response that is being made. */
export interface Responding<T> {
  /** What is sent. */
  readonly response: T;
  /** Ends all answers, with the error to answer with. */
  cut(error: Error): void;
}

/** The body of a response that is not streamed. It fails with the error that ended an answer. */
export function completeWhole(
  generation: Generation,
  tools: GenerationTools,
): Responding<Promise<object>> {
  const { frame, dialect, jobs, answersPerPrompt } = generation;
  const wholes = jobs.map(() => ({
    reasoning: "",
    content: "",
    tokens: [] as AnswerDelta["tokens"][number][],
  }));
  const done = Promise.withResolvers<object>();
  const bodyOf = (endings: readonly Ending[]): object => ({
    ...frame,
    object: dialect.objects.whole,
    choices: wholes.map((whole, index) =>
      dialect.whole(index, { ...whole, ending: endings[index] } satisfies WholeAnswer)
    ),
    usage: usageOf(endings, answersPerPrompt),
    ...(endings.length === 1 ? { timings: timingsOf(endings[0]) } : {}),
  });
  const answers = new Answers(generation, tools, {
    hasRoom: true,
    delta(index, { reasoning, content, tokens }) {
      wholes[index].reasoning += reasoning;
      wholes[index].content += content;
      wholes[index].tokens.push(...tokens);
    },
    ended() {},
    over: (endings, error) => error === null ? done.resolve(bodyOf(endings)) : done.reject(error),
  });
  return { response: done.promise, cut: (error) => answers.cut(error) };
}

/** How a response is streamed. */
export interface StreamOptions extends Omit<EventStreamOptions, "onRoom"> {
  /** Whether a last chunk counts the tokens. */
  readonly includeUsage: boolean;
  /** All is over; with the error that ended it, if one did. */
  readonly onEnd: (error: ApiError | null) => void;
}

/** A streamed response. It begins at once; what goes wrong from then on is an event of its own. */
export function streamAnswers(
  generation: Generation,
  tools: GenerationTools,
  options: StreamOptions,
): Responding<Response> & { /** The client is known to have left. */ abandon(): void } {
  const { dialect, jobs, answersPerPrompt } = generation;
  const stream = new EventStream({ ...options, onRoom: () => answers.resume() });
  const chunk = chunkWriter(generation, options.includeUsage);
  const send = (choice: object | null, more: object = {}): void =>
    stream.send(chunk(choice === null ? [] : [choice], more));
  jobs.forEach((_, index) => {
    const first = dialect.begin(index);
    if (first !== null) send(first);
  });
  const answers = new Answers(generation, tools, {
    get hasRoom() {
      return stream.hasRoom;
    },
    delta(index, delta) {
      const { reasoning, content, tokens } = delta;
      if (reasoning + content === "" && tokens.length === 0) return;
      send(dialect.delta(index, delta));
    },
    ended: (index, ending) =>
      send(dialect.end(index, ending), jobs.length === 1 ? { timings: timingsOf(ending) } : {}),
    over(endings, error) {
      const known = error === null ? null : toApiError(error);
      if (known !== null) stream.send(JSON.stringify(known.body));
      else if (options.includeUsage) send(null, { usage: usageOf(endings, answersPerPrompt) });
      stream.end();
      options.onEnd(known);
    },
  });
  return {
    response: stream.response,
    cut: (error) => answers.cut(error),
    abandon: () => stream.abandon(),
  };
}

/** Writes chunks as JSON. What all of them have is written once. */
function chunkWriter(
  { frame, dialect }: Generation,
  includeUsage: boolean,
): (choices: readonly object[], more: object) => string {
  const usage = includeUsage ? { usage: null } : {};
  const common = JSON.stringify({ ...frame, object: dialect.objects.chunk }).slice(0, -1);
  return (choices, more) => {
    const rest = JSON.stringify({ choices, ...usage, ...more });
    return `${common},${rest.slice(1)}`;
  };
}
