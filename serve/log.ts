/**
 * One JSON object a line. What people write and what models answer is never in it.
 *
 * @module
 */

/** How much it matters. */
export type LogLevel = "info" | "warn" | "error";

/** What a line says. */
export type LogFields = Readonly<Record<string, string | number | boolean | null | undefined>>;

/** Where lines go. */
export type Log = (level: LogLevel, event: string, fields?: LogFields) => void;

/** Longer texts, such as the path of a hostile request, are cut. */
const longestText = 300;

/** Lines of JSON, through `write`. A text of a client cannot begin a line of its own: JSON escapes it. */
export function jsonLog(write: (line: string) => void): Log {
  return (level, event, fields = {}) => {
    const cut = Object.entries(fields).map(([key, value]) =>
      [key, typeof value === "string" ? value.slice(0, longestText) : value] as const
    );
    const line = { time: new Date().toISOString(), level, event, ...Object.fromEntries(cut) };
    write(JSON.stringify(line) + "\n");
  };
}
