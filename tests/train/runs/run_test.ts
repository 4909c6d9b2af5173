import assert from "node:assert/strict";
import { appendFileSync, existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { readRecord, statusOf } from "../../../train/runs/record.ts";
import { newestModel, newestRun, Run, RunError } from "../../../train/runs/run.ts";
import { RunIndex } from "../../../train/runs/run_index.ts";
import { readStepLog, StepLog } from "../../../train/runs/step_log.ts";
import { withFolder } from "../../nn/specs.ts";

const description = { stage: "sft", steps: 10, seed: 3, config: "stage: sft\n" };
const watch = { signal: new AbortController().signal, watchers: [] };

Deno.test("a log drops the steps after the one that a run resumes from, and a line without an end", () =>
  withFolder((folder) => {
    const path = join(folder, "metrics.jsonl");
    {
      using log = new StepLog(path, 0);
      for (let step = 1; step <= 5; step++) log.append(step, { loss: step === 2 ? NaN : step });
    }
    appendFileSync(path, '{"step": 6, "lo');
    {
      using log = new StepLog(path, 3);
      log.append(4, { loss: 40 });
    }
    const lines = readStepLog(path).map(({ step, loss }) => [step, loss]);
    assert.deepEqual(lines, [[1, 1], [2, null], [3, 3], [4, 40]]);
  }));

Deno.test("a run's folder tells what was done, with what, and how far it is", () =>
  withFolder((root) => {
    using run = Run.create(root, { ...description, name: "first" });
    {
      using stage = run.stage("", watch);
      stage.metrics(1, { loss: 3, lr: 0.1 });
      stage.metrics(2, { loss: Infinity });
      stage.sample(2, "a text");
    }
    run.model("model");
    run.end("finished");
    const record = readRecord(join(root, "first"))!;
    assert.deepEqual(record, run.record);
    assert.deepEqual(record.metrics, { loss: null, lr: 0.1 });
    assert.deepEqual([record.status, record.step, record.steps], ["finished", 2, 10]);
    assert.equal(record.provenance.deno, Deno.version.deno);
    assert.equal(readFileSync(join(root, "first", "config.yaml"), "utf8"), "stage: sft\n");
    const [sample] = readStepLog(join(root, "first", "samples.jsonl"));
    assert.deepEqual([sample.step, sample.text], [2, "a text"]);
    assert.equal(newestModel(root), join(root, "first", "model"));
  }));

Deno.test("runs get names of their own, and a name is taken once", () =>
  withFolder((root) => {
    using first = Run.create(root, description);
    using second = Run.create(root, description);
    assert.notEqual(first.record.name, second.record.name);
    assert.match(first.record.name, /^sft-\d{4}-\d\d-\d\d-\d{4}$/);
    const { name } = first.record;
    assert.throws(
      () => Run.create(root, { ...description, name }),
      new RunError(
        `runs: there is already a run called ${name}. Resume it with --resume ${name}, or choose another --name.`,
      ),
    );
    for (const name of ["../up", "", ".hidden", "a b"]) {
      assert.throws(() => Run.create(root, { ...description, name }), RunError);
    }
  }));

Deno.test("a run whose process was killed is interrupted, one that runs cannot be resumed", () =>
  withFolder(async (root) => {
    const module = new URL("../../../train/runs/run.ts", import.meta.url).href;
    const child = new Deno.Command(Deno.execPath(), {
      args: [
        "eval",
        `import { Run } from ${JSON.stringify(module)};
         Run.create(${JSON.stringify(root)}, ${JSON.stringify({ ...description, name: "killed" })});
         console.log("runs");
         setInterval(() => {}, 1000);`,
      ],
      cwd: fileURLToPath(new URL("../../..", import.meta.url)),
      stdout: "piped",
    }).spawn();
    const reader = child.stdout.getReader();
    await reader.read();
    const folder = join(root, "killed");
    assert.equal(statusOf(folder, readRecord(folder)!), "running");
    assert.throws(() => Run.reopen(folder), /^RunError: runs: killed is running, as process/);
    child.kill("SIGKILL");
    await child.status;
    await reader.cancel();
    assert.equal(statusOf(folder, readRecord(folder)!), "interrupted");
    using run = Run.reopen(folder);
    assert.equal(run.record.status, "running");
  }));

Deno.test("the index lists runs from the newest, forgets removed ones and is made again when lost", () =>
  withFolder((root) => {
    for (const name of ["a", "b", "c"]) {
      using run = Run.create(root, { ...description, name });
      run.end("finished");
    }
    rmSync(join(root, "b"), { recursive: true });
    const names = (): string[] => {
      using index = new RunIndex(root);
      return index.list().map(({ name }) => name);
    };
    assert.deepEqual(names(), ["c", "a"]);
    for (const file of ["index.sqlite", "index.sqlite-wal", "index.sqlite-shm"]) {
      rmSync(join(root, file), { force: true });
    }
    assert.deepEqual(names(), ["c", "a"]);
    assert.equal(newestRun(root, ({ name }) => name === "a"), join(root, "a"));
    assert.equal(newestModel(root), null);
    assert.equal(newestRun(join(root, "nowhere"), () => true), null);
    assert.ok(!existsSync(join(root, "nowhere")));
  }));

Deno.test("a run that nobody ends has failed", () =>
  withFolder((root) => {
    {
      using _run = Run.create(root, { ...description, name: "broken" });
    }
    assert.equal(readRecord(join(root, "broken"))!.status, "failed");
  }));
