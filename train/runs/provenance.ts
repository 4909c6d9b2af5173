/**
 * What a run must remember to be repeated: the code, the versions, the machine.
 *
 * @module
 */
import { cpus } from "node:os";
import { fileURLToPath } from "node:url";
import { device } from "../../tensor/mod.ts";
import { version } from "./version.ts";

/** Where the results of a run come from. */
export interface Provenance {
  /** This package's version. */
  readonly version: string;
  /** The commit of the package's folder and whether files differ from it; null outside of a git checkout. */
  readonly git: { readonly commit: string; readonly changed: boolean } | null;
  /** The version of Deno. */
  readonly deno: string;
  /** The version of V8. */
  readonly v8: string;
  /** The machine. */
  readonly hardware: {
    readonly os: string;
    readonly arch: string;
    readonly cpu: string;
    /** Threads that kernels use. */
    readonly threads: number;
    readonly memoryBytes: number;
  };
}

/** Looks at the code and at the machine. */
export function provenance(): Provenance {
  return {
    version,
    git: gitState(),
    deno: Deno.version.deno,
    v8: Deno.version.v8,
    hardware: {
      os: `${Deno.build.os} ${Deno.osRelease()}`,
      arch: Deno.build.arch,
      cpu: cpus()[0]?.model ?? "unknown CPU",
      threads: device().threads,
      memoryBytes: Deno.systemMemoryInfo().total,
    },
  };
}

function gitState(): Provenance["git"] {
  const root = new URL("../..", import.meta.url);
  if (root.protocol !== "file:") return null;
  const commit = git(fileURLToPath(root), "rev-parse", "HEAD");
  const changes = git(fileURLToPath(root), "status", "--porcelain", "--untracked-files=no");
  return commit === null || changes === null ? null : { commit, changed: changes !== "" };
}

/** What git prints; null where there is no git, or no repository. */
function git(folder: string, ...args: string[]): string | null {
  try {
    const command = new Deno.Command("git", { args: ["-C", folder, ...args], stderr: "null" });
    const { success, stdout } = command.outputSync();
    return success ? new TextDecoder().decode(stdout).trim() : null;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}
