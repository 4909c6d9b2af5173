/**
 * What a request can be refused for, in the form that OpenAI clients understand.
 *
 * @module
 */

/** The kinds of errors that clients tell apart. */
export type ApiErrorType =
  | "invalid_request_error"
  | "authentication_error"
  | "not_found_error"
  | "rate_limit_error"
  | "server_error";

/** What an error says besides its message. */
export interface ApiErrorOptions {
  /** HTTP status. */
  readonly status: number;
  /** The kind; by default "invalid_request_error", or "server_error" from status 500. */
  readonly type?: ApiErrorType;
  /** A word that programs look for, such as `model_not_found`. */
  readonly code?: string;
  /** The field of the request that is to blame. */
  readonly param?: string;
  /** When the same request may succeed, in seconds. Without it, clients are told not to try again. */
  readonly retryAfterSeconds?: number;
}

/** The body of an error response. */
export interface ErrorBody {
  /** What went wrong. */
  readonly error: {
    readonly message: string;
    readonly type: ApiErrorType;
    readonly param: string | null;
    readonly code: string | null;
  };
}

/** A request that gets an error for its answer. */
export class ApiError extends Error {
  /** The class name, for logs. */
  override readonly name = "ApiError";
  /** HTTP status. */
  readonly status: number;
  readonly #options: ApiErrorOptions;

  /** `message` is meant for the person who made the request. */
  constructor(message: string, options: ApiErrorOptions) {
    super(message);
    this.status = options.status;
    this.#options = options;
  }

  /** As JSON. */
  get body(): ErrorBody {
    const { status, param = null, code = null } = this.#options;
    const type = this.#options.type ?? (status >= 500 ? "server_error" : "invalid_request_error");
    return { error: { message: this.message, type, param, code } };
  }

  /** The whole response. `x-should-retry` is what the official clients go by before they look at the status. */
  get response(): Response {
    const seconds = this.#options.retryAfterSeconds;
    const headers: Record<string, string> = seconds === undefined
      ? { "x-should-retry": "false" }
      : { "x-should-retry": "true", "retry-after": String(Math.max(1, Math.ceil(seconds))) };
    if (this.status === 401) headers["www-authenticate"] = "Bearer";
    return Response.json(this.body, { status: this.status, headers });
  }
}

/** A field of the request that makes no sense. */
export function invalid(param: string, message: string, code?: string): ApiError {
  return new ApiError(message, { status: 400, param, ...(code === undefined ? {} : { code }) });
}

/** Anything that was thrown, as an answer: what is not meant for the client stays in the log. */
export function toApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  return new ApiError("The server failed to answer. Its log says why.", {
    status: 500,
    code: "internal_error",
  });
}
