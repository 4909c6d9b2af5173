/**
 * What ends a command early, and the exit code that says so.
 *
 * @module
 */
/** The command did what it was asked to. */
export const succeeded = 0;
/** It could not, for a reason that lies in this machine. */
export const failed = 1;
/** It was asked for something that makes no sense, or of files that do not fit. */
export const misused = 2;
/** Ctrl-C ended it: 128 + SIGINT, as shells count. */
export const interrupted = 130;

/** The command was asked for something that cannot be. The message says what, and what to do instead. */
export class UsageError extends Error {
  /** The class name, for logs. */
  override readonly name = "UsageError";
}

/** Errors about what was given, whose messages are meant for people. By name: a command need not load what throws them. */
const misuses: ReadonlySet<string> = new Set([
  "UsageError",
  ...["CheckpointError", "DataError", "DownloadError", "FormatError", "RowError", "SpecError"],
  ...["ConfigError", "RunError", "ResumeError"],
  ...["ConstraintError", "InfeasibleError"],
  ...["ChatTemplateError", "TokenizerError", "TokenizerFormatError"],
  ...["NotFound", "NotADirectory", "IsADirectory", "AlreadyExists"],
]);

/** Errors about this machine: likewise. */
const failures: ReadonlySet<string> = new Set([
  ...["CacheError", "CompileError", "LoadError", "OutOfMemoryError"],
  ...["DivergedError", "SaveError"],
  ...["PermissionDenied", "FilesystemLoop", "ReadOnlyFilesystem", "StorageFull", "FileTooLarge"],
]);

/** The exit code for an error whose message is all that a user needs; null for a defect of the program. */
export function exitCodeOf(error: unknown): number | null {
  if (!(error instanceof Error)) return null;
  if (misuses.has(error.name)) return misused;
  // Errors of node:fs have no class of their own, but a code.
  const isOfSystem = "code" in error && "syscall" in error;
  return isOfSystem || failures.has(error.name) ? failed : null;
}
