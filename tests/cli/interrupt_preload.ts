/**
 * Loaded before a command's program: it gets a signal as soon as it has reported a given text, however busy the
 * machine is and whoever reads what it reports.
 *
 * @module
 */
const { INTERRUPT_AT: pattern, INTERRUPT_WITH: signal } = Deno.env.toObject();
const at = new RegExp(pattern!);
const decoder = new TextDecoder();
const writeSync = Deno.stderr.writeSync.bind(Deno.stderr);
let reported = "", isSent = false;

Deno.stderr.writeSync = (bytes: Uint8Array): number => {
  const written = writeSync(bytes);
  reported += decoder.decode(bytes.subarray(0, written), { stream: true });
  if (!isSent && at.test(reported)) {
    isSent = true;
    Deno.kill(Deno.pid, signal as Deno.Signal);
  }
  return written;
};
