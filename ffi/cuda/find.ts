import { dirname, join, resolve } from "node:path";
import { findLibrary, LoadError } from "../library.ts";

/** The libraries of CUDA that can be used. */
export type CudaLibraryName = "driver" | "nvrtc" | "cublas" | "cublasLt" | "cudnn" | "nccl";

/** What a library is called, by people, by its file, and in the environment. */
interface Description {
  readonly title: string;
  readonly variable: string;
  /** File name for a major version of CUDA; those with one version only ignore it. */
  soname(major: number): string;
  readonly hint: string;
}

const install = (packages: string): string => `Install it: pip install ${packages}.`;

const descriptions: Readonly<Record<CudaLibraryName, Description>> = {
  driver: {
    title: "NVIDIA driver",
    variable: "DENOTRON_LIBCUDA",
    soname: () => "libcuda.so.1",
    hint: "Install the driver of the GPU; without one, use the CPU.",
  },
  nvrtc: {
    title: "NVRTC",
    variable: "DENOTRON_LIBNVRTC",
    soname: (major) => `libnvrtc.so.${major}`,
    hint: install("nvidia-cuda-nvrtc"),
  },
  cublas: {
    title: "cuBLAS",
    variable: "DENOTRON_LIBCUBLAS",
    soname: (major) => `libcublas.so.${major}`,
    hint: install("nvidia-cublas"),
  },
  cublasLt: {
    title: "cuBLASLt",
    variable: "DENOTRON_LIBCUBLASLT",
    soname: (major) => `libcublasLt.so.${major}`,
    hint: install("nvidia-cublas"),
  },
  cudnn: {
    title: "cuDNN",
    variable: "DENOTRON_LIBCUDNN",
    soname: () => "libcudnn.so.9",
    hint: install("nvidia-cudnn-cu13"),
  },
  nccl: {
    title: "NCCL",
    variable: "DENOTRON_LIBNCCL",
    soname: () => "libnccl.so.2",
    hint: install("nvidia-nccl-cu13"),
  },
};

const newestMajor = 13, oldestMajor = 12;

/**
 * Finds one library: its own variable in the environment, then the folders of `DENOTRON_CUDA_DIR`, Python environments,
 * `LD_LIBRARY_PATH`, CUDA toolkits and the system. Only looks at folders; nothing is loaded.
 *
 * @param name Which library.
 * @param major The major version of CUDA that it must belong to.
 * @throws {LoadError} When it is nowhere; the message lists what was tried.
 */
export function findCudaLibrary(name: CudaLibraryName, major: number = newestMajor): string {
  const { title, variable, soname, hint } = descriptions[name];
  const directories = name === "driver" ? driverDirectories() : libraryDirectories();
  return findLibrary({ name: title, variable, sonames: [soname(major)], directories, hint });
}

/**
 * The major version of CUDA to use: the newest that the driver knows and for which both NVRTC and cuBLAS are installed.
 *
 * @param driverVersion As cuDriverGetVersion tells it: 13000 for CUDA 13.0.
 * @throws {LoadError} When there is none.
 */
export function chooseMajor(driverVersion: number): number {
  const newest = Math.min(newestMajor, Math.floor(driverVersion / 1000));
  let failure: unknown = null;
  for (let major = newest; major >= oldestMajor; major--) {
    try {
      findCudaLibrary("nvrtc", major);
      findCudaLibrary("cublas", major);
      return major;
    } catch (error) {
      if (!(error instanceof LoadError)) throw error;
      failure ??= error;
    }
  }
  throw failure ?? new LoadError(
    `CUDA: the driver is too old, it knows CUDA ${
      driverVersion / 1000
    } (12 is needed). Update the driver.`,
    [],
  );
}

/** Libraries beside one that was found, by the beginning of their names, in the order of their names. */
export function findBeside(path: string, prefix: string): string[] {
  const directory = path.slice(0, path.lastIndexOf("/"));
  if (directory === "") return [];
  return entriesOf(directory)
    .filter((name) => name.startsWith(prefix) && !name.includes(".alt"))
    .sort().map((name) => join(directory, name));
}

function driverDirectories(): string[] {
  return [
    ...listed("DENOTRON_CUDA_DIR"),
    "/usr/local/nvidia/lib64",
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/usr/lib64",
    "/usr/lib/wsl/lib",
  ];
}

function libraryDirectories(): string[] {
  const conda = Deno.env.get("CONDA_PREFIX");
  return [
    ...listed("DENOTRON_CUDA_DIR"),
    ...sitePackages().flatMap(wheelDirectories),
    ...(conda ? [join(conda, "lib")] : []),
    ...listed("LD_LIBRARY_PATH"),
    ...toolkits().flatMap((root) => [
      join(root, "lib64"),
      join(root, "targets/x86_64-linux/lib"),
      join(root, "targets/sbsa-linux/lib"),
    ]),
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/usr/lib64",
    "/usr/lib/wsl/lib",
  ];
}

/** Where NVIDIA's Python packages put their libraries, below a folder of packages. */
function wheelDirectories(packages: string): string[] {
  const nvidia = join(packages, "nvidia");
  return ["cu13", "cublas", "cuda_nvrtc", "cudnn", "nccl"].map((name) => join(nvidia, name, "lib"));
}

/** Folders of Python packages: of environments first, then of the user and the system. Python itself is not run. */
function sitePackages(): string[] {
  const environments = [
    ...listed("VIRTUAL_ENV"),
    ...pythonEnvironments(),
    ...listed("CONDA_PREFIX"),
  ];
  const home = Deno.env.get("HOME");
  return [
    ...environments.flatMap((root) => versions(join(root, "lib"), "site-packages")),
    ...(home ? versions(join(home, ".local/lib"), "site-packages") : []),
    "/usr/lib/python3/dist-packages",
    ...versions("/usr/local/lib", "dist-packages"),
  ];
}

/** Roots of the environments that the `python3` and `python` in PATH belong to. */
function pythonEnvironments(): string[] {
  return listed("PATH").flatMap((directory) => ["python3", "python"].map((n) => join(directory, n)))
    .flatMap(linksFrom)
    .map((program) => join(program, "../.."))
    .filter((root) => isFile(join(root, "pyvenv.cfg")));
}

/** A path, and where it leads when it is a symbolic link, step by step. */
function linksFrom(path: string): string[] {
  const found: string[] = [];
  for (let at = path, info = lstat(at); info !== null && found.length < 8; info = lstat(at)) {
    found.push(at);
    if (!info.isSymlink) break;
    at = resolve(dirname(at), Deno.readLinkSync(at));
  }
  return found;
}

/** `lib/python3.12/site-packages` for each version below `lib`. */
function versions(lib: string, packages: string): string[] {
  return entriesOf(lib).filter((name) => name.startsWith("python3"))
    .sort().reverse().map((name) => join(lib, name, packages));
}

/** Roots of CUDA toolkits, newest first. */
function toolkits(): string[] {
  const installed = entriesOf("/usr/local").filter((name) => name.startsWith("cuda-"))
    .sort((a, b) => Number(b.slice(5)) - Number(a.slice(5)));
  return [
    ...listed("CUDA_HOME"),
    ...listed("CUDA_PATH"),
    ...installed.map((name) => join("/usr/local", name)),
    "/usr/local/cuda",
  ];
}

/** The parts of an environment variable that lists paths. */
function listed(variable: string): string[] {
  return (Deno.env.get(variable) ?? "").split(":").filter((path) => path !== "");
}

function entriesOf(directory: string): string[] {
  try {
    return Array.from(Deno.readDirSync(directory), ({ name }) => name);
  } catch (error) {
    if (isUnreachable(error)) return [];
    throw error;
  }
}

function lstat(path: string): Deno.FileInfo | null {
  try {
    return Deno.lstatSync(path);
  } catch (error) {
    if (isUnreachable(error)) return null;
    throw error;
  }
}

function isFile(path: string): boolean {
  return lstat(path)?.isFile ?? false;
}

function isUnreachable(error: unknown): boolean {
  return error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory ||
    error instanceof Deno.errors.PermissionDenied;
}
