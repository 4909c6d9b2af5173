import assert from "node:assert/strict";
import { constant, Linear, parameter, WeightCopy, type WeightFormat } from "../../nn/mod.ts";
import { defaultDevice, device, RandomKey, scope, Tensor } from "../../tensor/mod.ts";
import { assertClose, tensorTest } from "../support.ts";

const key = new RandomKey(11);
const sizes = [[1, 5, 3], [3, 40, 33], [8, 32, 48], [70, 100, 70]] as const;
const formats = ["f32", "bf16", "int8"] as const satisfies readonly WeightFormat[];

/** Other devices and the references do not round between a product and its gates. */
const rounds = defaultDevice() === "cpu" && !device().description.startsWith("reference");

function assertSame(actual: Tensor, expected: Tensor): void {
  if (rounds) assert.deepEqual(actual.data(), expected.data());
  else assertClose(actual.data(), expected.data(), { absolute: 1e-5, relative: 1e-5 }, "gated");
}

/** A gate and what it lets through, [width → hidden] each. */
function layersOf(width: number, hidden: number, biased: boolean): readonly [Linear, Linear] {
  const layer = (name: string): Linear => {
    const layer = new Linear(
      parameter([hidden, width], constant(0)),
      biased ? parameter([hidden], constant(0.25)) : null,
    );
    layer.weight.assign(Tensor.normal([hidden, width], key.derive(name), { std: 0.3 }));
    return layer;
  };
  return [layer("gate"), layer("up")];
}

for (const [rows, width, hidden] of sizes) {
  for (const format of formats) {
    for (const biased of [false, true]) {
      const name = `${format} [${rows}, ${width}] → ${hidden}${biased ? " with biases" : ""}`;
      tensorTest(`a gated copy has the bits of a product and gates after it: ${name}`, () => {
        scope(() => {
          const layers = layersOf(width, hidden, biased);
          using gated = new WeightCopy(layers, format, { gated: true });
          using plain = new WeightCopy(layers, format);
          const dtype = format === "bf16" ? "bf16" : "f32";
          const x = Tensor.normal([rows, width], key.derive("x"), { dtype });
          assert.deepEqual(gated.forward(x).shape, [rows, hidden]);
          assertSame(gated.forward(x), plain.forward(x).swigluHalves());
          // and those of the layers themselves, which have weights of another type
          if (format === "f32") {
            const [gate, up] = layers.map((layer) => layer.forward(x));
            assertSame(gated.forward(x), gate.swiglu(up));
          }
          const before = gated.forward(x).data();
          layers[0].weight.assign(layers[1].weight);
          gated.refresh(layers);
          plain.refresh(layers);
          assert.notDeepEqual(gated.forward(x).data(), before);
          assertSame(gated.forward(x), plain.forward(x).swigluHalves());
          for (const layer of layers) layer[Symbol.dispose]();
        });
      });
    }
  }
}
