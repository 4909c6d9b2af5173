/**
 * What calls of the driver cost the host, and what they allow.
 *
 * @module
 */
import { CudaDriver, Nvrtc } from "../../ffi/cuda/mod.ts";
import { openLibrary } from "../../ffi/mod.ts";
import { device, RandomKey, scope, Tensor } from "../../tensor/mod.ts";
import { answer, type Check, type Subject } from "./check.ts";

/** A call on another thread, where no context is current. */
export const nonblocking: Check = {
  question: "Can a stream be waited for on another thread, where no context is current?",
  required: false,
  run: async () => {
    const driver = new CudaDriver(),
      { symbols } = openLibrary(driver.path, {
        cuStreamSynchronize: { parameters: ["pointer"], result: "i32", nonblocking: true },
      });
    driver.useDevice(0);
    const stream = driver.createStream(), start = performance.now();
    const status = await symbols.cuStreamSynchronize(stream);
    const microseconds = 1000 * (performance.now() - start);
    return answer(status === 0, `status ${status} after ${microseconds.toFixed(0)} µs`, {
      ...{ status, microseconds },
    });
  },
};

const graphLaunches = 100;

/** Microseconds of a call that ends with nothing left to do on the stream: the fastest of several. */
function microseconds(work: () => void): number {
  const once = (): number => {
    const start = performance.now();
    work();
    return 1000 * (performance.now() - start);
  };
  once();
  return Math.min(...Array.from({ length: 10 }, once));
}

/** Launches of a kernel that does nothing, one by one and as a graph. */
export const launches: Check = {
  question: "Is a graph of 100 small kernels faster than launching them?",
  required: false,
  run: ({ tiny }: Subject) => {
    const { device: { capability }, nvrtc: { path } } = device("cuda").description;
    const source = `extern "C" __global__ void nothing(int count) {}`;
    const options = [`--gpu-architecture=sm_${capability}`];
    const { image } = new Nvrtc(path).compile("nothing.cu", source, options);
    const driver = new CudaDriver();
    driver.useDevice(0);
    const stream = driver.createStream();
    const kernel = driver.getFunction(driver.loadModule(image), "nothing");
    // The address of the one parameter, and the parameter; in a buffer of its own, for V8 may move what is on its heap.
    const words = new BigUint64Array(new ArrayBuffer(16));
    const parameters = Deno.UnsafePointer.of(words)!;
    const grid = { blocks: [1, 1, 1], threads: 32, shared: 0 } as const;
    const launch = (count: number): void => {
      words.set([Deno.UnsafePointer.value(parameters) + 8n, 0n]);
      for (let i = 0; i < count; i++) {
        driver.check(driver.launch(kernel, grid, stream, parameters), "cuLaunchKernel");
      }
    };
    const wait = (): void => driver.check(driver.synchronize(stream), "cuStreamSynchronize");
    const calls = tiny ? 10 : 1000;
    const perLaunch = microseconds(() => launch(calls)) / calls;
    wait();
    driver.beginCapture(stream);
    launch(graphLaunches);
    const graph = driver.instantiateGraph(driver.endCapture(stream));
    const loop = microseconds(() => (launch(graphLaunches), wait()));
    const replay = microseconds(() => {
      driver.check(driver.launchGraph(graph, stream), "cuGraphLaunch");
      wait();
    });
    const text = `a launch takes the host ${perLaunch.toFixed(2)} µs; 100 of them ${
      loop.toFixed(0)
    } µs, as a graph ${replay.toFixed(0)} µs`;
    return answer(replay < loop, text, { perLaunch, loop, replay });
  },
};

/** Attention between two products, captured, and replayed with other numbers. */
export const capture: Check = {
  question: "Can cuBLAS and attention be captured as a graph, with the results of launches?",
  required: true,
  run: ({ tiny }: Subject) =>
    scope(() => {
      const [time, heads, headDim] = tiny ? [16, 2, 16] : [512, 8, 64], dim = heads * headDim;
      const random = (shape: readonly number[], seed: number): Tensor =>
        Tensor.normal(shape, new RandomKey(seed), { device: "cuda" }).to("bf16");
      const x = random([1, time, dim], 1), weights = [2, 3].map((seed) => random([dim, dim], seed));
      const compute = (): Tensor => {
        const q = x.linear(weights[0]).reshape([1, time, heads, headDim]);
        return q.attention(q, q, { causal: true }).reshape([1, time, dim]).linear(weights[1]);
      };
      compute();
      const made: Tensor[] = [];
      using memory = device("cuda").graphMemory();
      using graph = device("cuda").capture(memory, () => {
        scope(() => made.push(compute().keep()));
      });
      x.assign(random([1, time, dim], 4));
      graph.replay();
      const [replayed, launched] = [made[0].data(), compute().data()];
      made[0][Symbol.dispose]();
      const same = launched.every((value, i) => value === replayed[i]);
      const text = `${graph.size} nodes; ${same ? "the same bits" : "other numbers"}`;
      return answer(same, text, { nodes: graph.size });
    }),
};
