import assert from "node:assert/strict";
import { LoadError, NativeError } from "../../ffi/mod.ts";
import { CudaDriver } from "../../ffi/cuda/mod.ts";
import { CudaBackend } from "../../tensor/backend/cuda.ts";
import { fill } from "../../tensor/ops/fill.ts";
import { OutOfMemoryError, scope, Tensor } from "../../tensor/mod.ts";
import { cudaTest, withEnvironment } from "./support.ts";

const simulated = { simulated: true };

/** The error of opening a device while the environment is so. */
function openingWith(variables: Readonly<Record<string, string>>): Error {
  try {
    withEnvironment(variables, () => new CudaBackend());
  } catch (error) {
    return error as Error;
  }
  throw new assert.AssertionError({ message: "the device opened" });
}

Deno.test("without a driver, the error says where it was looked for", () => {
  const error = openingWith({ DENOTRON_LIBCUDA: "/nowhere/libcuda.so.1" });
  assert.ok(error instanceof LoadError);
  assert.match(error.message, /^NVIDIA driver: library not found, tried .*\/nowhere\/libcuda.so.1/);
  assert.match(error.message, /without one, use the CPU/);
});

cudaTest("a machine without a GPU is told apart from one without a driver", () => {
  const { message } = openingWith({ CUDASIM_FAIL: "cuInit=100" });
  assert.match(
    message,
    /^cuInit: native call failed, CUDA_ERROR_NO_DEVICE: .* \(100\)\. There is no/,
  );
}, simulated);

cudaTest("a driver that differs from its library is named", () => {
  const { message } = openingWith({ CUDASIM_FAIL: "cuInit=803" });
  assert.match(message, /CUDA_ERROR_SYSTEM_DRIVER_MISMATCH.*Restart the machine/);
}, simulated);

cudaTest("a driver that is too old is refused", () => {
  const error = openingWith({ CUDASIM_DRIVER: "11040" });
  assert.ok(error instanceof LoadError);
  assert.match(error.message, /the driver is too old, it knows CUDA 11.04 \(12 is needed\)/);
}, simulated);

cudaTest("a compiler for a newer CUDA than the driver knows is not taken", () => {
  const error = openingWith({ CUDASIM_DRIVER: "12080" });
  assert.ok(error instanceof LoadError);
  assert.match(error.message, /libnvrtc.so.12/);
}, simulated);

cudaTest("memory that the device does not have is an OutOfMemoryError", () => {
  withEnvironment({}, () => {
    const backend = new CudaBackend();
    Deno.env.set("CUDASIM_FAIL", "cuMemAlloc_v2=2");
    try {
      assert.throws(() => backend.allocate(1 << 20), OutOfMemoryError);
    } finally {
      Deno.env.delete("CUDASIM_FAIL");
    }
  });
}, simulated);

cudaTest("a launch that fails names the op, and the CPU goes on", () => {
  withEnvironment({}, () => {
    const backend = new CudaBackend(), storage = backend.allocate(16);
    const out = { storage, shape: [4], strides: [1], offset: 0, dtype: "f32" as const };
    Deno.env.set("CUDASIM_FAIL", "cuLaunchKernel=701");
    try {
      assert.throws(
        () => backend.run(fill, [out], [out], { value: 1 }),
        (error) =>
          error instanceof NativeError && error.code === 701 &&
          /cuLaunchKernel for fill.*more registers or shared memory/.test(error.message),
      );
    } finally {
      Deno.env.delete("CUDASIM_FAIL");
    }
    assert.equal(scope(() => Tensor.full([4], 2, { device: "cpu" }).sum().item()), 8);
  });
}, simulated);

cudaTest("what was not waited for is not there yet when streams are delayed", () => {
  withEnvironment({ CUDASIM_DELAY: "1" }, () => {
    const driver = new CudaDriver(), stream = driver.createStream();
    driver.useDevice(0);
    const address = driver.allocate(8), host = driver.allocateHost(16);
    const numbers = new Float64Array(host.buffer);
    numbers.set([3, 0]);
    driver.copyToDevice(address, host.address, 8, stream);
    driver.copyToHost(host.address + 8, address, 8, stream);
    assert.equal(numbers[1], 0);
    driver.check(driver.synchronize(stream), "cuStreamSynchronize");
    assert.equal(numbers[1], 3);
    driver.free(address);
  });
}, simulated);

cudaTest("copies larger than the staging memory arrive whole while streams are delayed", () => {
  withEnvironment({ CUDASIM_DELAY: "1" }, () => {
    const backend = new CudaBackend(), count = 5 << 20;
    const sent = Uint32Array.from({ length: count }, (_, i) => Math.imul(i, 2654435761));
    const storage = backend.allocate(4 * count), received = new Uint32Array(count);
    backend.write(storage, 0, new Uint8Array(sent.buffer));
    backend.read(storage, 0, new Uint8Array(received.buffer));
    assert.ok(sent.every((word, i) => word === received[i]));
    storage.release();
  });
}, simulated);
