/**
 * Reading request bodies from clients that may be broken or hostile.
 *
 * @module
 */
import { ApiError, invalid } from "./errors.ts";

/** What a body may be like. */
export interface BodyLimits {
  /** At most so many bytes. */
  readonly maxBodyBytes: number;
  /** It must be there after so many ms. */
  readonly bodyTimeoutMs: number;
}

/** Deeper bodies are refused: nothing that anyone means is nested like this. */
const deepest = 64;
const strict = new TextDecoder("utf-8", { fatal: true });

/** The JSON of a request. Throws ApiError: 415 for another type, 413 when it is too long, 408 when too slow, 400. */
export async function readJson(request: Request, limits: BodyLimits): Promise<unknown> {
  const type = request.headers.get("content-type");
  if (type !== null && !/^application\/(\w[\w.-]*\+)?json\s*(;|$)/i.test(type)) {
    throw new ApiError(`The body is ${type.slice(0, 100)}. Send application/json.`, {
      status: 415,
      code: "unsupported_media_type",
    });
  }
  const bytes = await readBytes(request, limits);
  let text: string;
  try {
    text = strict.decode(bytes);
  } catch {
    throw invalid("body", "The body is not UTF-8.", "invalid_json");
  }
  if (depthOf(text) > deepest) {
    throw invalid("body", `The body is nested deeper than ${deepest} levels.`, "invalid_json");
  }
  try {
    return JSON.parse(text);
  } catch (error) {
    const reason = (error as Error).message;
    throw invalid("body", `The body is not JSON: ${reason.slice(0, 200)}.`, "invalid_json");
  }
}

async function readBytes(
  request: Request,
  { maxBodyBytes, bodyTimeoutMs }: BodyLimits,
): Promise<Uint8Array> {
  const tooLong = (): ApiError =>
    new ApiError(`The body is longer than ${maxBodyBytes} bytes.`, {
      status: 413,
      code: "request_too_large",
    });
  const given = request.headers.get("content-length"), whole = given === null ? NaN : Number(given);
  if (whole > maxBodyBytes) throw tooLong();
  const reader = request.body?.getReader();
  if (reader === undefined) return new Uint8Array(0);
  const chunks: Uint8Array[] = [];
  let size = 0, late = false;
  const timer = setTimeout(() => {
    late = true;
    reader.cancel().catch(() => {});
  }, bodyTimeoutMs);
  try {
    // A body that says its length is whole before its stream has ended.
    while (size !== whole) {
      const part = await reader.read();
      if (part.done) break;
      size += part.value.length;
      if (size > maxBodyBytes) throw tooLong();
      chunks.push(part.value);
    }
  } catch (error) {
    if (!late) throw error;
  } finally {
    clearTimeout(timer);
    if (size === whole || size > maxBodyBytes) reader.cancel().catch(() => {});
  }
  if (late) throw new ApiError("The body did not arrive in time.", { status: 408 });
  return concat(chunks, size);
}

function concat(chunks: readonly Uint8Array[], size: number): Uint8Array {
  const bytes = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}

/** How deep brackets are nested outside of strings. */
function depthOf(json: string): number {
  let depth = 0, most = 0, quoted = false;
  for (let i = 0; i < json.length; i++) {
    const letter = json[i];
    if (quoted) {
      if (letter === "\\") i++;
      else if (letter === '"') quoted = false;
    } else if (letter === '"') quoted = true;
    else if (letter === "[" || letter === "{") most = Math.max(most, ++depth);
    else if (letter === "]" || letter === "}") depth--;
  }
  return most;
}
