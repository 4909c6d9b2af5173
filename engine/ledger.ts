/**
 * What becomes of requests: who waits for which tokens, what ends them, and the figures that are kept of it.
 *
 * @module
 */
import type { ActiveGeneration, Choice } from "./generation.ts";
import { EngineMetrics } from "./metrics.ts";
import { AbortedError, type FinishEvent, type StepEvent, type TokenEvent } from "./request.ts";
import type { Drawn, DrawRow } from "./sampler.ts";
import type { Plan, Scheduler } from "./scheduler.ts";
import type { Sequence } from "./sequence.ts";

/** How a choice ends. */
type Ending = Omit<FinishEvent, "kind" | "choice">;

/** A choice whose next token is drawn, and from which row of logits. */
export interface Draw extends DrawRow {
  readonly choice: Choice;
}

/** All requests that are not finished. */
export class Ledger {
  /** Figures so far. */
  readonly metrics: EngineMetrics = new EngineMetrics();
  readonly #scheduler: Scheduler;
  readonly #longest: number;
  readonly #choices = new Map<Sequence, Choice>();
  readonly #requests = new Set<ActiveGeneration>();

  /** Nothing is asked for. Texts end at `longest` computed tokens. */
  constructor(scheduler: Scheduler, longest: number) {
    [this.#scheduler, this.#longest] = [scheduler, longest];
  }

  /** Requests that are not finished. */
  get requests(): ReadonlySet<ActiveGeneration> {
    return this.#requests;
  }

  /** Puts a request in line: its first choice; the others follow when the prompt is computed. */
  open(request: ActiveGeneration): void {
    const { prompt, maxTokens, n = 1 } = request.options;
    this.#requests.add(request);
    this.metrics.requestPromptTokens.add(prompt.length);
    this.metrics.requestN.add(n);
    this.metrics.requestMaxTokens.add(maxTokens);
    for (const choice of request.choices) {
      this.#choices.set(choice.sequence, choice);
      this.#scheduler.number(choice.sequence);
    }
    this.#scheduler.add(request.choices[0].sequence);
    if (maxTokens === 0) {
      for (const choice of request.choices) this.end(choice, { reason: "length" });
    }
  }

  /** Ends all choices of a request that go on; see `end()`. */
  endAll(request: ActiveGeneration, ending: Ending, told: StepEvent[] = []): void {
    for (const choice of request.choices) this.end(choice, ending, told);
  }

  /** Ends those whose time is up. */
  expire(now: number): void {
    for (const request of this.#requests) {
      const { deadlineMs = Infinity } = request.options;
      if (now < request.arrived + deadlineMs) continue;
      const error = new AbortedError(
        `engine: request ${request.id} is not finished in time (${
          Math.round(now - request.arrived)
        } vs ${deadlineMs} ms). Allow more.`,
      );
      this.endAll(request, { reason: "abort", error });
    }
  }

  /** Notes what a plan begins. */
  note({ admitted, preempted, work }: Plan, now: number): void {
    const { metrics } = this;
    metrics.preemptions += preempted.length;
    for (const sequence of admitted) {
      const choice = this.#choices.get(sequence)!;
      if (choice.started !== null) continue;
      choice.started = now;
      metrics.queueTime.add((now - choice.request.arrived) / 1000);
      metrics.promptTokens += sequence.promptLength;
      metrics.prefixQueries += sequence.promptLength;
      metrics.prefixHits += sequence.reused;
    }
    if (work.length === 0) return;
    metrics.steps++;
    metrics.iterationTokens.add(work.reduce((sum, { count }) => sum + count, 0));
  }

  /** Which tokens to draw once `work` is computed: those after sequences of which nothing is pending. */
  draws({ work }: Plan, now: number): Draw[] {
    const draws: Draw[] = [];
    const add = (choice: Choice, row: number): void => {
      const { sequence, sampler } = choice;
      const { tokens: { length: position }, generated } = sequence;
      draws.push({ choice, sampler, row, position, generated });
    };
    let row = 0;
    for (const { sequence } of work) {
      if (sequence.pending > 0) continue;
      const choice = this.#choices.get(sequence)!;
      add(choice, row);
      // The other choices begin where the prompt ends.
      const others = choice.number === 0 && sequence.generated === 0
        ? choice.request.choices.slice(1)
        : [];
      for (const other of others) {
        if (!this.#scheduler.fork(sequence, other.sequence)) continue;
        other.started = now;
        add(other, row);
      }
      row++;
    }
    return draws;
  }

  /** A choice goes on with a token, or ends. What its request is told of it joins `told`. */
  deliver(choice: Choice, drawn: Drawn | null, now: number, told: StepEvent[]): void {
    const { sequence, request, number } = choice, { options } = request;
    if (drawn === null) {
      const error = new RangeError(
        `engine: the logits after ${sequence.tokens.length} tokens of request ${request.id} are no finite numbers, or forbid every token. ` +
          `Check the weights and logitBias.`,
      );
      return this.end(choice, { reason: "error", error }, told);
    }
    const { id, logProb, top } = drawn, stops = options.stop?.includes(id) ?? false;
    if (!stops || options.keepStop) {
      this.#push(choice, drawn, now);
      tell(request, { kind: "token", choice: number, id, logProb, top }, told);
    }
    if (stops) return this.end(choice, { reason: "stop", stopId: id }, told);
    try {
      if (choice.watch?.(id)) return this.end(choice, { reason: "stop" }, told);
    } catch (error) {
      return this.end(choice, { reason: "error", error: error as Error }, told);
    }
    const full = sequence.generated >= options.maxTokens || sequence.tokens.length > this.#longest;
    if (full) this.end(choice, { reason: "length" }, told);
  }

  #push(choice: Choice, { id, logProb, top }: Drawn, now: number): void {
    const { metrics } = this;
    if (choice.first === null) {
      choice.first = now;
      metrics.timeToFirstToken.add((now - choice.request.arrived) / 1000);
      metrics.prefillTime.add((now - choice.started!) / 1000);
    } else {
      metrics.interTokenLatency.add((now - choice.last!) / 1000);
    }
    choice.last = now;
    choice.sequence.tokens.push(id);
    choice.sampler.push(id);
    if (logProb !== null) choice.logProbs.push(logProb);
    choice.top.push(top);
    metrics.generationTokens++;
  }

  /** Ends a choice, unless it has ended. What its request is told of it joins `told`. */
  end(choice: Choice, ending: Ending, told: StepEvent[] = []): void {
    if (choice.end) return;
    const { sequence, request, number } = choice, { metrics } = this, now = performance.now();
    this.#scheduler.remove(sequence);
    this.#choices.delete(sequence);
    choice.end = { kind: "finish", choice: number, ...ending };
    if (request.done) this.#requests.delete(request);
    metrics.finished[ending.reason]++;
    metrics.requestGenerationTokens.add(sequence.generated);
    metrics.endToEnd.add((now - request.arrived) / 1000);
    if (choice.started !== null) metrics.inferenceTime.add((now - choice.started) / 1000);
    if (choice.first !== null) metrics.decodeTime.add((now - choice.first) / 1000);
    tell(request, choice.end, told);
  }
}

function tell(request: ActiveGeneration, event: TokenEvent | FinishEvent, told: StepEvent[]): void {
  request.push(event);
  told.push({ request, event });
}
