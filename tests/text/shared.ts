/** Where the shared data lies, and tests that are skipped, visibly, where it is absent. */

const root = new URL("../../../shared/data/", import.meta.url);

/** The path of a file or folder of the shared data. */
export function sharedPath(path: string): string {
  return decodeURIComponent(new URL(path, root).pathname);
}

/** The text of a file of the shared data. */
export function sharedText(path: string): string {
  return Deno.readTextFileSync(sharedPath(path));
}

/** The parsed contents of a JSON file of the shared data. */
export function sharedJson<Value>(path: string): Value {
  return JSON.parse(sharedText(path)) as Value;
}

/** Defines a test that reads the given shared files; it is ignored, with the reason printed, without them. */
export function sharedTest(
  name: string,
  paths: readonly string[],
  body: () => void | Promise<void>,
): void {
  const absent = paths.find((path) => !exists(sharedPath(path)));
  if (absent !== undefined) console.log(`skipped: ${name}: ../shared/data/${absent} is absent`);
  Deno.test({ name, ignore: absent !== undefined, fn: body });
}

function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
}
