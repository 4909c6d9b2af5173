/** Our name of a part's layer, and Hugging Face's, inside one block. */
const LAYERS: readonly (readonly [string, string])[] = [
  ["attention.norm", "input_layernorm"],
  ["attention.q", "self_attn.q_proj"],
  ["attention.k", "self_attn.k_proj"],
  ["attention.v", "self_attn.v_proj"],
  ["attention.o", "self_attn.o_proj"],
  ["attention.linear", "self_attn.linear_attn"],
  ["ffn.norm", "post_attention_layernorm"],
  ["ffn.gate", "mlp.gate_proj"],
  ["ffn.up", "mlp.up_proj"],
  ["ffn.down", "mlp.down_proj"],
  ["ffn.linear", "mlp.linear_mlp"],
];
const OUTSIDE: readonly (readonly [string, string])[] = [
  ["embedding", "model.embed_tokens"],
  ["norm", "model.norm"],
  ["head", "lm_head"],
];

/**
 * The name of a parameter in a Hugging Face checkpoint; Llama, Nemotron and DeciLM share one
 * scheme, and shapes are equal. Returns null for a name that isn't a decoder's.
 *
 * @example
 * ```ts
 * import { toHuggingFaceName } from "@denotron/denotron/nn";
 * import assert from "node:assert/strict";
 *
 * const name = toHuggingFaceName("blocks.3.attention.q.weight");
 * assert.equal(name, "model.layers.3.self_attn.q_proj.weight");
 * ```
 */
export function toHuggingFaceName(name: string): string | null {
  const block = /^blocks\.(\d+)\.(.+)\.(weight|bias)$/.exec(name);
  if (block !== null) {
    const layer = LAYERS.find(([ours]) => ours === block[2]);
    return layer ? `model.layers.${block[1]}.${layer[1]}.${block[3]}` : null;
  }
  const [, module, kind] = /^(.+)\.(weight|bias)$/.exec(name) ?? [];
  const outside = OUTSIDE.find(([ours]) => ours === module);
  return outside ? `${outside[1]}.${kind}` : null;
}

/** Our name of a Hugging Face parameter, the reverse of {@linkcode toHuggingFaceName}. */
export function fromHuggingFaceName(name: string): string | null {
  const block = /^model\.layers\.(\d+)\.(.+)\.(weight|bias)$/.exec(name);
  if (block !== null) {
    const layer = LAYERS.find(([, theirs]) => theirs === block[2]);
    return layer ? `blocks.${block[1]}.${layer[0]}.${block[3]}` : null;
  }
  const [, module, kind] = /^(.+)\.(weight|bias)$/.exec(name) ?? [];
  const outside = OUTSIDE.find(([, theirs]) => theirs === module);
  return outside ? `${outside[0]}.${kind}` : null;
}
