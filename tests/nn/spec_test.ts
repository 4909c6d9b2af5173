import assert from "node:assert/strict";
import fc from "fast-check";
import { blockKey, type DecoderSpec, parameters, SpecError, validateSpec } from "../../nn/spec.ts";
import {
  architectureOf,
  fromHuggingFace,
  toHuggingFace,
} from "../../nn/checkpoint/huggingface_config.ts";
import { deciWidth } from "../../nn/checkpoint/deci_blocks.ts";
import { fromHuggingFaceName, toHuggingFaceName } from "../../nn/checkpoint/huggingface_names.ts";
import { checkEntries } from "../../nn/checkpoint/source.ts";
import { anySpec, deci, hasShared, llama, nemotron, SHARED } from "./specs.ts";

type Json = Record<string, unknown>;

function sharedConfig(path: string): Json {
  return JSON.parse(Deno.readTextFileSync(new URL(path, SHARED)));
}

const llama31: Json = {
  architectures: ["LlamaForCausalLM"],
  attention_bias: false,
  bos_token_id: 128000,
  eos_token_id: [128001, 128008, 128009],
  hidden_act: "silu",
  hidden_size: 4096,
  initializer_range: 0.02,
  intermediate_size: 14336,
  max_position_embeddings: 131072,
  mlp_bias: false,
  model_type: "llama",
  num_attention_heads: 32,
  num_hidden_layers: 32,
  num_key_value_heads: 8,
  rms_norm_eps: 1e-5,
  rope_scaling: {
    factor: 8,
    high_freq_factor: 4,
    low_freq_factor: 1,
    original_max_position_embeddings: 8192,
    rope_type: "llama3",
  },
  rope_theta: 500000,
  tie_word_embeddings: false,
  torch_dtype: "bfloat16",
  vocab_size: 128256,
};

const minitron: Json = {
  architectures: ["NemotronForCausalLM"],
  attention_bias: false,
  head_dim: 128,
  hidden_act: "relu2",
  hidden_size: 3072,
  intermediate_size: 9216,
  max_position_embeddings: 4096,
  mlp_bias: false,
  model_type: "nemotron",
  norm_eps: 1e-5,
  num_attention_heads: 24,
  num_hidden_layers: 32,
  num_key_value_heads: 8,
  rope_theta: 10000,
  partial_rotary_factor: 0.5,
  rope_scaling: null,
  tie_word_embeddings: false,
  vocab_size: 256000,
};

Deno.test("Llama 3.1's config is read with its rotary scaling", () => {
  const spec = fromHuggingFace(llama31);
  assert.equal(spec.headDim, 128);
  assert.equal(spec.blocks.length, 32);
  assert.deepEqual(spec.blocks[0], {
    attention: { kind: "gqa", heads: 32, kvHeads: 8 },
    ffn: { kind: "gated", hidden: 14336, activation: "silu" },
  });
  assert.deepEqual(spec.rope, {
    theta: 500000,
    fraction: 1,
    scaling: {
      kind: "llama3",
      factor: 8,
      lowFrequency: 1,
      highFrequency: 4,
      originalContext: 8192,
    },
  });
});

Deno.test("both spellings of rotary settings give one spec and come back as they were", () => {
  const { rope_scaling, rope_theta, ...rest } = llama31;
  const newer = { ...rest, rope_parameters: { rope_theta, ...rope_scaling as Json } };
  assert.deepEqual(fromHuggingFace(newer), fromHuggingFace(llama31));
  assert.deepEqual(toHuggingFace(fromHuggingFace(newer), { like: newer }), newer);
  const legacy = { ...llama31, rope_scaling: { ...rope_scaling as Json, type: "llama3" } };
  delete (legacy.rope_scaling as Json).rope_type;
  assert.deepEqual(fromHuggingFace(legacy), fromHuggingFace(llama31));
  const plain = { ...rest, rope_parameters: { rope_theta: 10000, rope_type: "default" } };
  assert.equal(fromHuggingFace(plain).rope.scaling, null);
  assert.deepEqual(toHuggingFace(fromHuggingFace(plain), { like: plain }), plain);
});

Deno.test("Nemotron's config gives squared ReLU, LayerNorm1P and half-rotated heads", () => {
  const spec = fromHuggingFace(minitron);
  assert.deepEqual(spec.norm, { kind: "layer_norm_1p", eps: 1e-5 });
  assert.equal(spec.rope.fraction, 0.5);
  assert.deepEqual(spec.blocks[0].ffn, { kind: "relu2", hidden: 9216 });
  assert.deepEqual(toHuggingFace(spec, { like: minitron }), minitron);
  const { partial_rotary_factor: _, ...older } = minitron;
  assert.equal(fromHuggingFace(older).rope.fraction, 0.5);
  assert.equal(fromHuggingFace({ ...older, rope_percent: 0.25 }).rope.fraction, 0.25);
  assert.equal(fromHuggingFace({ ...older, rope_percentage: 0.25 }).rope.fraction, 0.25);
});

Deno.test({
  name: "the configs of LN-Super 49B and LN-Ultra 253B are read and written back unchanged",
  ignore: !hasShared("configs"),
  fn() {
    const superConfig = sharedConfig("configs/LN-Super-49B.config.json");
    const ultraConfig = sharedConfig("configs/LN-Ultra-253B.config.json");
    const superSpec = fromHuggingFace(superConfig);
    const ultraSpec = fromHuggingFace(ultraConfig);
    const count = (spec: DecoderSpec, part: "attention" | "ffn") =>
      spec.blocks.filter((block) => block[part] !== null).length;
    assert.deepEqual([superSpec.blocks.length, count(superSpec, "attention")], [80, 49]);
    assert.deepEqual([ultraSpec.blocks.length, count(ultraSpec, "attention")], [162, 64]);
    assert.equal(count(ultraSpec, "ffn"), 81);
    const without = superSpec.blocks.flatMap(({ attention }, i) => attention === null ? [i] : []);
    const runs = [6, 7, 11, ...range(42, 51), ...range(53, 70)];
    assert.deepEqual(without, runs);
    const widths = (spec: DecoderSpec) =>
      [
        ...new Set(spec.blocks.flatMap(({ ffn }) => ffn?.kind === "gated" ? [ffn.hidden] : [])),
      ].sort((a, b) => b - a);
    assert.deepEqual(widths(superSpec), [28672, 17920, 14336, 7168, 5632, 2816]);
    assert.deepEqual(widths(ultraSpec).slice(0, 5), [425984, 399360, 343040, 301056, 53248]);
    assert.deepEqual(toHuggingFace(superSpec, { like: superConfig }), superConfig);
    assert.deepEqual(toHuggingFace(ultraSpec, { like: ultraConfig }), ultraConfig);
  },
});

function range(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, i) => first + i);
}

Deno.test({
  name: "a small Llama's config is read and written back unchanged",
  ignore: !hasShared("models/verl-tiny-llama"),
  fn() {
    const config = sharedConfig("models/verl-tiny-llama/config.json");
    assert.deepEqual(toHuggingFace(fromHuggingFace(config), { like: config }), config);
  },
});

Deno.test("every spec survives the way through config.json, in the format that says it", () => {
  assert.equal(architectureOf(llama), "LlamaForCausalLM");
  assert.equal(architectureOf(nemotron), "NemotronForCausalLM");
  assert.equal(architectureOf(deci), "DeciLMForCausalLM");
  const windowed = {
    ...llama.blocks[0],
    attention: { kind: "gqa", heads: 4, kvHeads: 2, window: 9 },
  };
  assert.equal(
    architectureOf({ ...llama, blocks: [windowed as DecoderSpec["blocks"][0]] }),
    "DenotronForCausalLM",
  );
  const throughJson = (spec: DecoderSpec) =>
    fromHuggingFace(JSON.parse(JSON.stringify(toHuggingFace(spec))));
  for (const spec of [llama, nemotron, deci]) assert.deepEqual(throughJson(spec), spec);
  fc.assert(fc.property(anySpec(), (spec) => assert.deepEqual(throughJson(spec), spec)));
  fc.assert(fc.property(anySpec(["gated", "linear"]), (spec) => {
    assert.notEqual(architectureOf(spec), "DenotronForCausalLM");
    const config = toHuggingFace(spec, { architecture: "DeciLMForCausalLM" });
    assert.deepEqual(fromHuggingFace(config), spec);
  }));
});

Deno.test("any multiple of 256 has an ffn_mult that rounds back to it", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 2000 }), fc.integer({ min: 1, max: 20000 }), (n, dim) => {
      assert.equal(deciWidth(3 * 256 * n / (2 * dim), dim), 256 * n);
    }),
    { numRuns: 5000 },
  );
  assert.equal(deciWidth(5.25, 8192), 28672);
  assert.equal(deciWidth(1.0, 8192), 5632);
});

Deno.test("a child of a Llama keeps the parent's other settings in its DeciLM config", () => {
  const parent = { ...llama31, auto_map: { AutoConfig: "x.Y" } };
  const spec = fromHuggingFace(parent);
  const child = {
    ...spec,
    blocks: [{ ...spec.blocks[0], attention: null }, ...spec.blocks.slice(1)],
  };
  const config = toHuggingFace(child, { like: parent });
  assert.deepEqual(config.architectures, ["DeciLMForCausalLM"]);
  assert.deepEqual(config.eos_token_id, [128001, 128008, 128009]);
  assert.deepEqual([config.intermediate_size, config.num_key_value_heads], [null, null]);
  assert.equal(config.auto_map, undefined);
  assert.deepEqual(fromHuggingFace(config), child);
});

Deno.test("what is not supported is an error that names the key and the fix", () => {
  const cases: [Json, string, RegExp][] = [
    [{ ...llama31, architectures: ["MambaForCausalLM"] }, "architectures", /Supported are Llama/],
    [{ ...llama31, architectures: [], model_type: "gpt2" }, "architectures", /"gpt2"/],
    [{ ...llama31, hidden_act: "gelu" }, "hidden_act", /Only "silu" is supported/],
    [{ ...minitron, hidden_act: "silu" }, "hidden_act", /Only "relu2"/],
    [{ ...llama31, rope_scaling: { rope_type: "yarn", factor: 2 } }, "rope_scaling", /"yarn"/],
    [{ ...llama31, rope_scaling: { rope_type: "llama3" } }, "rope_scaling.factor", /absent/],
    [{ ...llama31, partial_rotary_factor: 0.5 }, "partial_rotary_factor", /Nemotron/],
    [{ ...llama31, quantization_config: { bits: 4 } }, "quantization_config", /not quantized/],
    [{ ...llama31, hidden_size: "4096" }, "hidden_size", /whole number/],
    [{ ...llama31, num_hidden_layers: 0 }, "num_hidden_layers", /above 0/],
    [{ ...llama31, num_hidden_layers: 1e9 }, "num_hidden_layers", /at most 100000/],
    [{ ...llama31, rope_theta: "x" }, "rope_theta", /a number/],
    [{ ...llama31, tie_word_embeddings: 1 }, "tie_word_embeddings", /true or false/],
    [{ ...llama31, num_key_value_heads: 5 }, "blocks[0].attention.kvHeads", /divisor of 32/],
    [{ ...llama31, rope_scaling: 3 }, "rope_scaling", /an object/],
    [
      deciConfig({ num_sink_tokens: 4 }),
      "block_configs[0].attention.num_sink_tokens",
      /without it/,
    ],
    [
      deciConfig({ n_heads_in_group: null }),
      "block_configs[0].attention.n_heads_in_group",
      /absent/,
    ],
    [deciConfig({ n_heads_in_group: 3 }), "blocks[0].attention.kvHeads", /positive whole/],
    [{ ...deciConfig({}), num_hidden_layers: 7 }, "num_hidden_layers", /\(7 vs 5\)/],
    [{ ...deciConfig({}), block_configs: [null] }, "block_configs", /list of objects/],
    [{ architectures: ["DenotronForCausalLM"], spec: { blocks: [] } }, "spec", /not a decoder/],
  ];
  for (const [config, key, message] of cases) {
    assert.throws(() => fromHuggingFace(config), (error) => {
      assert.ok(error instanceof SpecError, String(error));
      assert.equal(error.key, key);
      assert.match(error.message, message);
      return true;
    });
  }
  assert.throws(() => toHuggingFace(deci, { architecture: "LlamaForCausalLM" }), {
    message: "toHuggingFace: LlamaForCausalLM cannot express this spec, its blocks differ. " +
      "Use DeciLMForCausalLM.",
  });
});

function deciConfig(attention: Json): Json {
  const config = toHuggingFace(deci);
  const [first, ...others] = config.block_configs as { attention: Json; ffn: Json }[];
  const changed = { ...first, attention: { ...first.attention, ...attention } };
  return { ...config, block_configs: [changed, ...others] };
}

Deno.test("a config never gives anything but a valid spec or a SpecError", () => {
  const keys = [...Object.keys(llama31), "rope_parameters", "block_configs", "head_dim", "spec"];
  fc.assert(
    fc.property(
      fc.constantFrom(llama31, minitron, toHuggingFace(deci), {
        architectures: ["DenotronForCausalLM"],
        spec: llama,
      }),
      fc.dictionary(fc.constantFrom(...keys), fc.jsonValue(), { maxKeys: 3 }),
      (config, changes) => {
        try {
          validateSpec(fromHuggingFace({ ...config, ...changes }));
        } catch (error) {
          assert.ok(error instanceof SpecError, String(error));
        }
      },
    ),
    { numRuns: 3000 },
  );
});

Deno.test("impossible specs are refused with the field's path", () => {
  const block = llama.blocks[0];
  const withBlock = (change: unknown) =>
    ({ ...llama, blocks: [block, { ...block, ...change as object }] }) as DecoderSpec;
  const cases: [DecoderSpec, string][] = [
    [{ ...llama, vocab: 0 }, "vocab"],
    [{ ...llama, dim: 1.5 }, "dim"],
    [{ ...llama, headDim: 7 }, "rope.fraction"],
    [{ ...llama, norm: { kind: "rms_norm", eps: 0 } }, "norm.eps"],
    [{ ...llama, rope: { ...llama.rope, fraction: 2 } }, "rope.fraction"],
    [{ ...llama, rope: { ...llama.rope, theta: NaN } }, "rope.theta"],
    [{ ...llama, blocks: [] }, "blocks"],
    [withBlock({ attention: { kind: "mamba" } }), "blocks[1].attention"],
    [
      withBlock({ attention: { kind: "gqa", heads: 4, kvHeads: 2, window: 0 } }),
      "blocks[1].attention.window",
    ],
    [withBlock({ ffn: { kind: "gated", hidden: -1, activation: "silu" } }), "blocks[1].ffn.hidden"],
    [
      withBlock({ ffn: { kind: "gated", hidden: 8, activation: "gelu" } }),
      "blocks[1].ffn.activation",
    ],
    [withBlock({ ffn: undefined }), "blocks[1].ffn"],
    [
      { ...deci, rope: { ...deci.rope, scaling: { ...deci.rope.scaling!, highFrequency: 1 } } },
      "rope.scaling.highFrequency",
    ],
  ];
  for (const [spec, key] of cases) {
    assert.throws(
      () => validateSpec(spec),
      (error) => error instanceof SpecError && error.key === key,
    );
  }
});

Deno.test("parameters are listed in the order of the forward pass, heads last", () => {
  const list = parameters({ ...nemotron, blocks: nemotron.blocks.slice(0, 1) });
  assert.deepEqual(list.map(({ name, shape }) => `${name} [${shape}]`), [
    "embedding.weight [96,32]",
    "blocks.0.attention.norm.weight [32]",
    "blocks.0.attention.norm.bias [32]",
    "blocks.0.attention.q.weight [32,32]",
    "blocks.0.attention.k.weight [16,32]",
    "blocks.0.attention.v.weight [16,32]",
    "blocks.0.attention.o.weight [32,32]",
    "blocks.0.ffn.norm.weight [32]",
    "blocks.0.ffn.norm.bias [32]",
    "blocks.0.ffn.up.weight [64,32]",
    "blocks.0.ffn.down.weight [32,64]",
    "norm.weight [32]",
    "norm.bias [32]",
    "head.weight [96,32]",
  ]);
  const biased = { kind: "gqa", heads: 4, kvHeads: 2, bias: true } as const;
  const names = parameters({ ...llama, tied: true, blocks: [{ attention: biased, ffn: null }] });
  assert.deepEqual(names.filter((p) => p.name.endsWith("bias")).map((p) => p.shape[0]), [
    32,
    16,
    16,
    32,
  ]);
  assert.equal(names.at(-1)!.name, "norm.weight");
  assert.equal(parameters({ ...deci, blocks: [deci.blocks[4]] }).length, 3);
});

Deno.test("names map to Hugging Face's and back, one to one", () => {
  assert.equal(toHuggingFaceName("embedding.weight"), "model.embed_tokens.weight");
  assert.equal(toHuggingFaceName("head.weight"), "lm_head.weight");
  assert.equal(
    toHuggingFaceName("blocks.12.ffn.norm.bias"),
    "model.layers.12.post_attention_layernorm.bias",
  );
  assert.equal(
    toHuggingFaceName("blocks.2.ffn.linear.weight"),
    "model.layers.2.mlp.linear_mlp.weight",
  );
  assert.equal(toHuggingFaceName("blocks.2.ffn.unknown.weight"), null);
  assert.equal(fromHuggingFaceName("model.layers.0.self_attn.rotary_emb.inv_freq"), null);
  assert.equal(fromHuggingFaceName("model.layers.0"), null);
  fc.assert(fc.property(anySpec(), (spec) => {
    const ours = parameters(spec).map(({ name }) => name);
    const theirs = ours.map((name) => toHuggingFaceName(name)!);
    assert.equal(new Set(theirs).size, ours.length);
    assert.deepEqual(theirs.map(fromHuggingFaceName), ours);
  }));
});

Deno.test("entries that do not fit a spec are named in one error, with both shapes", () => {
  const entries = new Map(parameters(llama).map(({ name, shape }) => [name, { shape }]));
  checkEntries(llama, entries);
  entries.delete("blocks.1.ffn.down.weight");
  entries.set("head.weight", { shape: [32, 96] });
  entries.set("blocks.2.attention.norm.weight", { shape: [32] });
  assert.throws(() => checkEntries(llama, entries), {
    name: "CheckpointError",
    message: "checkpoint: 3 tensors do not fit the spec (21 needed, 21 given). " +
      "Use the config that belongs to these weights.\n" +
      "  missing blocks.1.ffn.down.weight [32, 48]\n" +
      "  head.weight is [32, 96] and must be [96, 32]\n" +
      "  surplus blocks.2.attention.norm.weight [32]",
  });
  assert.throws(() => checkEntries(llama, new Map()), { message: /and 1 more$/ });
});

Deno.test("blocks that compute the same have the same key however they are written", () => {
  const a = { attention: { kind: "gqa", heads: 4, kvHeads: 2 }, ffn: null } as const;
  const b = { ffn: null, attention: { bias: false, kvHeads: 2, heads: 4, kind: "gqa" } } as const;
  assert.equal(blockKey(a), blockKey(b));
  assert.equal(
    architectureOf({ ...llama, blocks: [llama.blocks[0], { ...llama.blocks[1] }] }),
    "LlamaForCausalLM",
  );
});
