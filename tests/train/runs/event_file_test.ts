import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { crc32c, EventFile } from "../../../train/runs/event_file.ts";
import { fields } from "../../../text/protobuf.ts";
import { withFolder } from "../../nn/specs.ts";

/** A Python that has the package tensorboard, if there is one. */
const python = Deno.env.get("DENOTRON_PYTHON") ?? "";
if (!existsSync(python)) console.log("skipped: DENOTRON_PYTHON names no Python with tensorboard");

Deno.test("checksums are those of RFC 3720", () => {
  assert.equal(crc32c(new Uint8Array(32)), 0x8a9136aa);
  assert.equal(crc32c(new Uint8Array(32).fill(0xff)), 0x62a8ab43);
  assert.equal(crc32c(Uint8Array.from({ length: 32 }, (_, i) => i)), 0x46dd794e);
  assert.equal(crc32c(new TextEncoder().encode("123456789")), 0xe3069283);
});

/** The payloads of TFRecords, whose lengths and checksums are checked. */
function payloads(bytes: Uint8Array): Uint8Array[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const found: Uint8Array[] = [];
  const masked = (part: Uint8Array): number => {
    const crc = crc32c(part);
    return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
  };
  for (let at = 0; at < bytes.length;) {
    const length = Number(view.getBigUint64(at, true));
    const payload = bytes.subarray(at + 12, at + 12 + length);
    assert.equal(view.getUint32(at + 8, true), masked(bytes.subarray(at, at + 8)));
    assert.equal(view.getUint32(at + 12 + length, true), masked(payload));
    found.push(payload);
    at += 16 + length;
  }
  return found;
}

/** A field of a message, by the numbers on the way to it. */
function at(message: Uint8Array, ...path: number[]): number | Uint8Array | undefined {
  const [number, ...rest] = path;
  const value = [...fields(message)].find((field) => field.number === number)?.value;
  return rest.length === 0 || value === undefined ? value : at(value as Uint8Array, ...rest);
}

function writeExample(folder: string): Uint8Array {
  using events = new EventFile(folder, 5);
  events.scalars(5, { loss: 1.25 });
  events.scalars(300, { "eval/loss": Infinity });
  events.text("sample", 6, "once — upon");
  return readFileSync(join(folder, readdirSync(folder)[0]));
}

Deno.test("an event file holds its version, where it begins, scalars and texts", () =>
  withFolder((folder) => {
    const events = payloads(writeExample(folder));
    const decode = (bytes: unknown): string => new TextDecoder().decode(bytes as Uint8Array);
    assert.equal(events.length, 5);
    assert.equal(decode(at(events[0], 3)), "brain.Event:2");
    assert.deepEqual([at(events[1], 2), at(events[1], 7, 1)], [5, 1]);
    assert.equal(decode(at(events[2], 5, 1, 1)), "loss");
    assert.deepEqual([at(events[2], 2), at(events[2], 5, 1, 2)], [5, 1.25]);
    assert.deepEqual([at(events[3], 2), at(events[3], 5, 1, 2)], [300, Infinity]);
    assert.equal(decode(at(events[4], 5, 1, 8, 8)), "once — upon");
    assert.equal(decode(at(events[4], 5, 1, 9, 1, 1)), "text");
  }));

Deno.test({
  name: "TensorBoard reads scalars and texts, and forgets what a resumed run wrote again",
  ignore: !existsSync(python),
  fn: () =>
    withFolder(async (folder) => {
      {
        using first = new EventFile(folder, 1);
        for (let step = 1; step <= 4; step++) first.scalars(step, { loss: 10 + step });
      }
      {
        using resumed = new EventFile(folder, 3);
        for (let step = 3; step <= 5; step++) resumed.scalars(step, { loss: 20 + step, lr: 1 });
        resumed.text("sample", 5, "hello");
      }
      const script = `
import json, sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
events = EventAccumulator(sys.argv[1], purge_orphaned_data=True)
events.Reload()
text = events.Tensors("sample/text_summary" if "sample/text_summary" in events.Tags()["tensors"] else "sample")
print(json.dumps({"loss": [[e.step, e.value] for e in events.Scalars("loss")],
                  "text": [[e.step, e.tensor_proto.string_val[0].decode()] for e in text],
                  "plugin": events.SummaryMetadata("sample").plugin_data.plugin_name}))
`;
      const { stdout, stderr } = await new Deno.Command(python, { args: ["-c", script, folder] })
        .output();
      const printed = new TextDecoder().decode(stdout);
      assert.ok(printed.startsWith("{"), new TextDecoder().decode(stderr));
      assert.deepEqual(JSON.parse(printed), {
        loss: [[1, 11], [2, 12], [3, 23], [4, 24], [5, 25]],
        text: [[5, "hello"]],
        plugin: "text",
      });
    }),
});
