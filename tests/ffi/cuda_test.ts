import assert from "node:assert/strict";
import { join } from "node:path";
import { LoadError } from "@denotron/denotron/ffi";
import { chooseMajor, findCudaLibrary } from "../../ffi/cuda/mod.ts";
import { statusError } from "../../ffi/cuda/status.ts";
import { withEnvironment } from "../cuda/support.ts";
import { TemporaryDirectory } from "./support.ts";

/** An environment in which only `variables` lead to libraries. */
function onlyWith<T>(variables: Readonly<Record<string, string>>, body: () => T): T {
  const nowhere = {
    DENOTRON_CUDA_DIR: "",
    VIRTUAL_ENV: "",
    CONDA_PREFIX: "",
    LD_LIBRARY_PATH: "",
    CUDA_HOME: "",
    CUDA_PATH: "",
    HOME: "/nowhere",
    PATH: "",
  };
  return withEnvironment({ ...nowhere, ...variables }, body);
}

/** Makes empty files in a folder below `root`; returns the folder. */
function makeFiles(root: string, folder: string, ...names: string[]): string {
  const path = join(root, folder);
  Deno.mkdirSync(path, { recursive: true });
  for (const name of names) Deno.writeTextFileSync(join(path, name), "");
  return Deno.realPathSync(path);
}

const wheels = "lib/python3.12/site-packages/nvidia/cu13/lib";

Deno.test("libraries of a Python environment are found without running Python", () => {
  using root = new TemporaryDirectory();
  const folder = makeFiles(root.path, wheels, "libnvrtc.so.13");
  const found = onlyWith({ VIRTUAL_ENV: root.path }, () => findCudaLibrary("nvrtc", 13));
  assert.equal(found, join(folder, "libnvrtc.so.13"));
});

Deno.test("a python3 in PATH leads to its environment, through links", () => {
  using root = new TemporaryDirectory();
  const environment = join(root.path, "env"), bin = join(root.path, "bin");
  const folder = makeFiles(environment, wheels, "libcublas.so.13");
  makeFiles(environment, "bin", "python3");
  makeFiles(environment, ".", "pyvenv.cfg");
  makeFiles(root.path, "bin");
  Deno.symlinkSync("../env/bin/python3", join(bin, "python3"));
  const found = onlyWith({ PATH: bin }, () => findCudaLibrary("cublas", 13));
  assert.equal(found, join(folder, "libcublas.so.13"));
});

Deno.test("DENOTRON_CUDA_DIR comes before environments, a library's own variable before both", () => {
  using root = new TemporaryDirectory();
  makeFiles(root.path, wheels, "libnvrtc.so.13");
  const own = makeFiles(root.path, "own", "libnvrtc.so.13", "other.so");
  const variables = { VIRTUAL_ENV: root.path, DENOTRON_CUDA_DIR: own };
  assert.equal(
    onlyWith(variables, () => findCudaLibrary("nvrtc", 13)),
    join(own, "libnvrtc.so.13"),
  );
  const named = { ...variables, DENOTRON_LIBNVRTC: join(own, "other.so") };
  assert.equal(onlyWith(named, () => findCudaLibrary("nvrtc", 13)), join(own, "other.so"));
});

Deno.test("the newest CUDA is taken that the driver knows and that has a compiler and cuBLAS", () => {
  using root = new TemporaryDirectory();
  const folder = makeFiles(
    root.path,
    "lib",
    "libnvrtc.so.12",
    "libcublas.so.12",
    "libnvrtc.so.13",
  );
  const choose = (driver: number): number =>
    onlyWith({ DENOTRON_CUDA_DIR: folder }, () => chooseMajor(driver));
  assert.equal(choose(13000), 12);
  makeFiles(root.path, "lib", "libcublas.so.13");
  assert.equal(choose(13000), 13);
  assert.equal(choose(12080), 12);
  assert.throws(() => choose(11080), LoadError);
});

Deno.test("a library that is nowhere is named with the package to install", () => {
  assert.throws(
    () => onlyWith({}, () => findCudaLibrary("nccl")),
    /^LoadError: NCCL: library not found, tried \$DENOTRON_LIBNCCL \(not set\), .* pip install nvidia-nccl-cu13\.$/,
  );
});

Deno.test("a status without a name or a hint still tells call and number", () => {
  assert.equal(
    statusError("cuInit", 4242, "", "", {}).message,
    "cuInit: native call failed, unknown status (4242).",
  );
});
