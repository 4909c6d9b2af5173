import assert from "node:assert/strict";
import { join } from "node:path";
import { statusError } from "../../ffi/cuda/status.ts";
import { runScript, TemporaryDirectory } from "./support.ts";

const finder = new URL("../../ffi/cuda/mod.ts", import.meta.url).href;

/** What an expression about libraries gives, or throws, where only `variables` lead to libraries. */
async function onlyWith(
  variables: Readonly<Record<string, string>>,
  expression: string,
): Promise<string> {
  const nowhere = {
    DENOTRON_CUDA_DIR: "",
    VIRTUAL_ENV: "",
    CONDA_PREFIX: "",
    LD_LIBRARY_PATH: "",
    CUDA_HOME: "",
    CUDA_PATH: "",
    HOME: "/nowhere",
    PATH: "",
    // Deno itself looks for its folder below HOME.
    DENO_DIR: Deno.env.get("DENO_DIR") ?? join(Deno.env.get("HOME")!, ".cache", "deno"),
  };
  const script = `import { chooseMajor, findCudaLibrary } from ${JSON.stringify(finder)};
    try { console.log(${expression}); } catch (error) { console.log(String(error)); }`;
  const { stdout, stderr } = await runScript(script, { ...nowhere, ...variables });
  assert.equal(stderr, "");
  return stdout;
}

/** Makes empty files in a folder below `root`; returns the folder. */
function makeFiles(root: string, folder: string, ...names: string[]): string {
  const path = join(root, folder);
  Deno.mkdirSync(path, { recursive: true });
  for (const name of names) Deno.writeTextFileSync(join(path, name), "");
  return Deno.realPathSync(path);
}

const wheels = "lib/python3.12/site-packages/nvidia/cu13/lib";

Deno.test("libraries of a Python environment are found without running Python", async () => {
  using root = new TemporaryDirectory();
  const folder = makeFiles(root.path, wheels, "libnvrtc.so.13");
  const found = await onlyWith({ VIRTUAL_ENV: root.path }, `findCudaLibrary("nvrtc", 13)`);
  assert.equal(found, join(folder, "libnvrtc.so.13"));
});

Deno.test("a python3 in PATH leads to its environment, through links", async () => {
  using root = new TemporaryDirectory();
  const environment = join(root.path, "env"), bin = join(root.path, "bin");
  const folder = makeFiles(environment, wheels, "libcublas.so.13");
  makeFiles(environment, "bin", "python3");
  makeFiles(environment, ".", "pyvenv.cfg");
  makeFiles(root.path, "bin");
  Deno.symlinkSync("../env/bin/python3", join(bin, "python3"));
  const found = await onlyWith({ PATH: bin }, `findCudaLibrary("cublas", 13)`);
  assert.equal(found, join(folder, "libcublas.so.13"));
});

Deno.test("DENOTRON_CUDA_DIR comes before environments, a library's own variable before both", async () => {
  using root = new TemporaryDirectory();
  makeFiles(root.path, wheels, "libnvrtc.so.13");
  const own = makeFiles(root.path, "own", "libnvrtc.so.13", "other.so");
  const variables = { VIRTUAL_ENV: root.path, DENOTRON_CUDA_DIR: own };
  assert.equal(
    await onlyWith(variables, `findCudaLibrary("nvrtc", 13)`),
    join(own, "libnvrtc.so.13"),
  );
  const named = { ...variables, DENOTRON_LIBNVRTC: join(own, "other.so") };
  assert.equal(await onlyWith(named, `findCudaLibrary("nvrtc", 13)`), join(own, "other.so"));
});

Deno.test("the newest CUDA is taken that the driver knows and that has a compiler and cuBLAS", async () => {
  using root = new TemporaryDirectory();
  const folder = makeFiles(
    root.path,
    "lib",
    "libnvrtc.so.12",
    "libcublas.so.12",
    "libnvrtc.so.13",
  );
  const choose = (driver: number): Promise<string> =>
    onlyWith({ DENOTRON_CUDA_DIR: folder }, `chooseMajor(${driver})`);
  assert.equal(await choose(13000), "12");
  makeFiles(root.path, "lib", "libcublas.so.13");
  assert.equal(await choose(13000), "13");
  assert.equal(await choose(12080), "12");
  assert.match(await choose(11080), /^LoadError: /);
});

Deno.test("a library that is nowhere is named with the package to install", async () => {
  assert.match(
    await onlyWith({}, `findCudaLibrary("nccl")`),
    /^LoadError: NCCL: library not found, tried \$DENOTRON_LIBNCCL \(not set\), .* pip install nvidia-nccl-cu13\.$/,
  );
});

Deno.test("a status without a name or a hint still tells call and number", () => {
  assert.equal(
    statusError("cuInit", 4242, "", "", {}).message,
    "cuInit: native call failed, unknown status (4242).",
  );
});
