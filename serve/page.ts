/**
 * The chat page: files that a browser reads as they are.
 *
 * @module
 */

/** Files of the page, by the path that a browser asks for, and their types. */
const files = {
  "/": ["index.html", "text/html; charset=utf-8"],
  "/ui/style.css": ["style.css", "text/css; charset=utf-8"],
  "/ui/app.js": ["app.js", "text/javascript; charset=utf-8"],
  "/ui/events.js": ["events.js", "text/javascript; charset=utf-8"],
  "/ui/markdown.js": ["markdown.js", "text/javascript; charset=utf-8"],
} as const;

/** Nothing from elsewhere, and nobody may put the page in a frame. */
const headers = {
  "content-security-policy":
    "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'",
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "cache-control": "no-cache",
};

/** Paths of the page. */
export const pagePaths: readonly string[] = Object.keys(files);

/** Reads the page; the function that it returns answers the requests for its paths. */
export async function loadPage(): Promise<(path: string) => Response> {
  const loaded = await Promise.all(
    Object.entries(files).map(async ([path, [name, type]]) => {
      const response = await fetch(new URL(`./ui/${name}`, import.meta.url));
      return [path, { text: await response.text(), type }] as const;
    }),
  );
  const pages = new Map(loaded);
  return (path) => {
    const { text, type } = pages.get(path)!;
    return new Response(text, { headers: { ...headers, "content-type": type } });
  };
}
