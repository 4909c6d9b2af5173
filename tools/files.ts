/**
 * What tools and tests ask of the file system.
 *
 * @module
 */

/** Whether there is something at a path; errors other than its absence are thrown. */
export function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
