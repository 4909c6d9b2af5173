/**
 * The server's figures, under the names that boards for vLLM look for after the prefix.
 *
 * @module
 */
import type { EngineHost } from "./engine_host.ts";
import type { GenerationObserver } from "./generation.ts";
import { Counter, exposition, Gauge, Histogram } from "./metrics.ts";
import type { Ending } from "./openai/dialect.ts";

// vLLM's bounds, so that its boards fit.
const firstTokenSeconds = [
  ...[.001, .005, .01, .02, .04, .06, .08, .1, .25, .5, .75],
  ...[1, 2.5, 5, 7.5, 10, 20, 40, 80, 160, 640, 2560],
];
const betweenTokensSeconds = [
  ...[.001, .0025, .005, .01, .025, .05, .075, .1, .15, .2, .3, .4, .5, .75],
  ...[1, 2.5, 5, 7.5, 10, 20, 40, 80],
];
const requestSeconds = [
  ...[.01, .03, .1, .3, .5, .8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30],
  ...[40, 50, 60, 120, 240, 480, 960, 1920, 7680],
];
const tokenCounts = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000];

/** Everything that `/metrics` shows. */
export class ServerFigures {
  readonly #host: EngineHost;
  readonly #requests: () => number;
  readonly #answers = new Counter("Answers that ended, by reason.");
  readonly #responses = new Counter("HTTP responses, by status.");
  readonly #promptTokens = new Counter("Prompt tokens of answers that ended.");
  readonly #newTokens = new Counter("Generated tokens.");
  readonly #firstToken = new Histogram("From the request to its first token.", firstTokenSeconds);
  readonly #betweenTokens = new Histogram("Between two tokens.", betweenTokensSeconds);
  readonly #latency = new Histogram("From the request to its last token.", requestSeconds);
  readonly #queueing = new Histogram("From the engine's queue to its work.", requestSeconds);
  readonly #prefill = new Histogram("From the engine's work to the first token.", requestSeconds);
  readonly #decode = new Histogram("From the first token to the last.", requestSeconds);
  readonly #promptLengths = new Histogram("Prompt tokens of an answer.", tokenCounts);
  readonly #answerLengths = new Histogram("Generated tokens of an answer.", tokenCounts);

  /** `requests` tells how many are being answered. */
  constructor(host: EngineHost, requests: () => number) {
    this.#host = host;
    this.#requests = requests;
  }

  /** A response went out. */
  responded(status: number): void {
    this.#responses.add(1, { status: String(status) });
  }

  /** Follows one request from now on. */
  request(): GenerationObserver {
    const begin = performance.now();
    return {
      answer: () => {
        let last: number | null = null;
        return {
          tokens: (count) => {
            const now = performance.now();
            if (last === null) this.#firstToken.observe((now - begin) / 1000);
            else this.#betweenTokens.observe((now - last) / 1000 / count);
            last = now;
            this.#newTokens.add(count);
          },
          ended: (ending) => this.#ended(ending, (performance.now() - begin) / 1000),
        };
      },
    };
  }

  #ended({ reason, promptTokens, tokens, times }: Ending, seconds: number): void {
    this.#answers.add(1, { finished_reason: reason });
    this.#promptTokens.add(promptTokens);
    this.#latency.observe(seconds);
    this.#queueing.observe(times.queueMs / 1000);
    this.#prefill.observe(times.promptMs / 1000);
    this.#decode.observe(times.predictedMs / 1000);
    this.#promptLengths.observe(promptTokens);
    this.#answerLengths.observe(tokens);
  }

  /** In the format that Prometheus reads. */
  get text(): string {
    const host = this.#host, of = host.figures;
    const total = (help: string, read: () => number): Gauge => new Gauge(help, read, "counter");
    return exposition({
      "denotron:num_requests_running": new Gauge("Sequences in the batch.", () => of.running),
      "denotron:num_requests_waiting": new Gauge("Sequences that wait.", () => of.waiting),
      "denotron:num_requests": new Gauge("Requests being answered.", this.#requests),
      "denotron:kv_cache_usage_perc": new Gauge("Share of the cache in use.", () => of.kvUsage),
      "denotron:num_preemptions_total": total("Sequences put off.", () => of.preemptions),
      "denotron:prefix_cache_queries_total": total(
        "Prompt tokens looked up in the cache.",
        () => of.prefixQueries,
      ),
      "denotron:prefix_cache_hits_total": total(
        "Prompt tokens found in the cache.",
        () => of.prefixHits,
      ),
      "denotron:prompt_tokens_total": this.#promptTokens,
      "denotron:generation_tokens_total": this.#newTokens,
      "denotron:request_success_total": this.#answers,
      "denotron:http_responses_total": this.#responses,
      "denotron:time_to_first_token_seconds": this.#firstToken,
      "denotron:inter_token_latency_seconds": this.#betweenTokens,
      "denotron:e2e_request_latency_seconds": this.#latency,
      "denotron:request_queue_time_seconds": this.#queueing,
      "denotron:request_prefill_time_seconds": this.#prefill,
      "denotron:request_decode_time_seconds": this.#decode,
      "denotron:request_prompt_tokens": this.#promptLengths,
      "denotron:request_generation_tokens": this.#answerLengths,
    });
  }
}
