/**
 * Whether cuDNN computes our attention, and how fast.
 *
 * @module
 */
import { fileURLToPath } from "node:url";
import { device } from "../../tensor/mod.ts";
import { answer, type Check, notHere } from "./check.ts";

/** GFLOP/s of each case, in a process of its own: which attention is used is decided when the device opens. */
async function figures(cudnn: "0" | "1", tiny: boolean): Promise<Record<string, number>> {
  const script = fileURLToPath(new URL("./attention_figures.ts", import.meta.url));
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", script, ...(tiny ? ["--tiny"] : [])],
    env: { DENOTRON_DEVICE: "cuda", DENOTRON_CUDNN: cudnn },
  }).output();
  const decoder = new TextDecoder();
  if (!success) throw new Error(decoder.decode(stderr).trim());
  return JSON.parse(decoder.decode(stdout).trim().split("\n").at(-1)!);
}

const named = (library: string, figures: Readonly<Record<string, number>>) =>
  Object.entries(figures).map(([name, value]) => [`${library} ${name}, GFLOP/s`, value]);

/** cuDNN's, once it has agreed with our kernels, beside ours. */
export const attention: Check = {
  question: "Does cuDNN take our attention, forward and backward, does it agree, and is it faster?",
  required: false,
  run: async ({ tiny }) => {
    const { cudnn, why } = device("cuda").description.attention;
    const own = await figures("0", tiny);
    if (cudnn === null) return { ...notHere(why), figures: Object.fromEntries(named("own", own)) };
    const theirs = await figures("1", tiny), names = Object.keys(own);
    const faster = names.filter((name) => theirs[name] > own[name]);
    const text =
      `cuDNN ${cudnn.version} agrees; faster in ${faster.length} of ${names.length} cases`;
    return answer(faster.length > 0, text, {
      ...Object.fromEntries([...named("own", own), ...named("cuDNN", theirs)]),
    });
  },
};
