/**
 * What keeps one client, or many, from taking the server down.
 *
 * @module
 */

/** Limits of a server; times in ms. */
export interface ServerLimits {
  /** Longest request body, in bytes. */
  readonly maxBodyBytes: number;
  /** A body must have arrived after so long. */
  readonly bodyTimeoutMs: number;
  /** Answers that are made or wait at once; more requests are told to come back. */
  readonly maxRequests: number;
  /** Requests of one API key at once. */
  readonly maxRequestsPerKey: number;
  /** An answer must be complete after so long. */
  readonly requestTimeoutMs: number;
  /** The first token must have come after so long. */
  readonly queueTimeoutMs: number;
  /** A client that takes nothing for so long is given up. */
  readonly stallMs: number;
  /** A stream that is quiet for so long gets a comment. */
  readonly heartbeatMs: number;
  /** An engine that is silent for so long, while it has work, counts as broken. */
  readonly watchdogMs: number;
}

/** Limits that suit one machine. */
export const defaultLimits: ServerLimits = {
  maxBodyBytes: 4 << 20,
  bodyTimeoutMs: 30_000,
  maxRequests: 512,
  maxRequestsPerKey: 512,
  requestTimeoutMs: 600_000,
  queueTimeoutMs: 120_000,
  stallMs: 30_000,
  heartbeatMs: 15_000,
  watchdogMs: 60_000,
};
