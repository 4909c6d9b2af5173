/**
 * Who may ask.
 *
 * @module
 */
import { createHash, timingSafeEqual } from "node:crypto";
import { ApiError } from "./errors.ts";

/** Keys that open the server. Only their hashes are kept, and comparing takes the same time for any key. */
export class ApiKeys {
  readonly #hashes: readonly Uint8Array[];

  /** Empty for a server that is open to everyone. */
  constructor(keys: readonly string[]) {
    this.#hashes = keys.map(hash);
  }

  /** How many keys there are; 0 when everyone may ask. */
  get count(): number {
    return this.#hashes.length;
  }

  /** Throws ApiError 401 unless a header carries one of the keys: `Authorization: Bearer KEY`, or `X-Api-Key: KEY`. */
  check(headers: Headers): void {
    if (this.count === 0) return;
    if (keyOf(headers) === null) {
      throw unauthorized("No API key was given. Send it as `Authorization: Bearer KEY`.");
    }
    if (this.name(headers) === null) {
      throw unauthorized("The API key is not one that this server knows.");
    }
  }

  /** Which key a request carries, as a text that tells keys apart and does not give them away; null for none of them. */
  name(headers: Headers): string | null {
    const given = keyOf(headers);
    if (given === null) return null;
    const own = hash(given);
    // No short cut: which key was nearly right must not show in the time it takes.
    const matches = this.#hashes.map((known) => timingSafeEqual(known, own));
    const place = matches.indexOf(true);
    return place < 0 ? null : String(place);
  }
}

function keyOf(headers: Headers): string | null {
  const [, bearer] = /^Bearer\s+(\S+)\s*$/i.exec(headers.get("authorization") ?? "") ?? [];
  return bearer ?? headers.get("x-api-key");
}

function hash(key: string): Uint8Array {
  return createHash("sha256").update(key).digest();
}

function unauthorized(message: string): ApiError {
  return new ApiError(message, {
    status: 401,
    type: "authentication_error",
    code: "invalid_api_key",
  });
}

/** The keys in the text of a file: one a line; empty lines and those that begin with # are left out. */
export function parseKeys(text: string): string[] {
  return text.split(/\r?\n/).map((line) => line.trim()).filter((line) =>
    line && !line.startsWith("#")
  );
}
