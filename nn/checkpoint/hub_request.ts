/** Thrown when a model can't be downloaded; `status` is the server's answer, if there was one. */
export class DownloadError extends Error {
  /** The class's name. */
  override readonly name = "DownloadError";
  /** The HTTP status; null when there was no answer. */
  readonly status: number | null;

  /** Describes a failed download. */
  constructor(message: string, status: number | null = null, cause?: unknown) {
    super(message, { cause });
    this.status = status;
  }
}

/** What every request of one download shares. */
export interface Session {
  /** The hub's address, without a slash at its end. */
  readonly endpoint: string;
  readonly token: string | null;
  readonly signal: AbortSignal | null;
}

const MAX_REDIRECTS = 5;

/** A response and the entity tag of the file itself, which only the first answer carries. */
export type HubResponse = Response & { readonly etag: string | null };

/**
 * Asks the hub for an address and follows redirects itself: the token is for the hub only, not for where its
 * files are stored. Throws {@linkcode DownloadError} when no answer comes.
 */
export async function request(
  session: Session,
  url: string,
  range: Record<string, string> = {},
): Promise<HubResponse> {
  const { signal, token } = session;
  // Compressed answers have no byte ranges and no length to check against.
  const always = { ...range, "accept-encoding": "identity" };
  const forHub = token === null ? always : { ...always, authorization: `Bearer ${token}` };
  const origin = new URL(session.endpoint).origin;
  let address = new URL(url);
  let etag: string | null = null;
  for (let hop = 0; hop <= MAX_REDIRECTS; hop++) {
    if (!/^https?:$/.test(address.protocol)) {
      throw new DownloadError(`download: ${url} leads to ${address.protocol} addresses. Refused.`);
    }
    const headers = address.origin === origin ? forHub : always;
    let response: Response;
    try {
      const init: RequestInit = { headers, redirect: "manual", ...(signal ? { signal } : {}) };
      response = await fetch(address, init);
    } catch (error) {
      signal?.throwIfAborted();
      const reason = (error as Error).message;
      throw new DownloadError(`download: no answer, ${reason}. Check the network.`, null, error);
    }
    etag ??= response.headers.get("x-linked-etag") ?? response.headers.get("etag");
    const location = response.headers.get("location");
    if (response.status < 300 || response.status >= 400 || location === null) {
      return Object.assign(response, { etag });
    }
    await response.body?.cancel();
    address = new URL(location, address);
  }
  throw new DownloadError(`download: ${url} redirects more than ${MAX_REDIRECTS} times. Refused.`);
}

/** The error for a request that the hub refused; `what` is what was asked for. */
export function statusError(what: string, status: number): DownloadError {
  const reason = status === 401 || status === 403
    ? "is not open to you. Set HF_TOKEN, and accept its licence on the hub."
    : status === 404
    ? "does not exist. Check the name and the revision."
    : "could not be had. Try again later.";
  return new DownloadError(`download: ${what} (status ${status}) ${reason}`, status);
}
