/** This package's version, as in deno.json, which not every form of the package carries. */
export const version = "0.1.0";
