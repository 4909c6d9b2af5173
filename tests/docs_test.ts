/** What the documents name is there: pages, headings, commands, options, recipes. */
import assert from "node:assert/strict";
import { existsSync, readdirSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { runDenotron } from "../cli/mod.ts";
import { memoryTerminal } from "./cli/support.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const pages = [
  ...["README.md", "ARCHITECTURE.md", "CHANGELOG.md"],
  ...readdirSync(join(root, "docs")).filter((name) => name.endsWith(".md"))
    .map((name) => `docs/${name}`),
];
const { tasks } = JSON.parse(Deno.readTextFileSync(join(root, "deno.json"))) as {
  tasks: Record<string, { command: string }>;
};
const read = (page: string): string => Deno.readTextFileSync(join(root, page));

/** A heading as links name it. */
function anchorOf(heading: string): string {
  return heading.toLowerCase().replaceAll(/[^\p{L}\p{N}\s-]/gu, "").trim().replaceAll(/\s/g, "-");
}

function anchorsOf(page: string): string[] {
  return read(page).matchAll(/^#+ (.+)$/gm).map(([, heading]) => anchorOf(heading)).toArray();
}

for (const page of pages) {
  Deno.test(`every page and heading that ${page} links to is there`, () => {
    for (const [, target] of read(page).matchAll(/\]\((?!https?:)([^)\s]+)\)/g)) {
      const [path, anchor] = target.split("#");
      const file = path === "" ? join(root, page) : join(root, dirname(page), path);
      assert.ok(existsSync(file), `${page} links to ${target}, which is not there`);
      if (anchor === undefined) continue;
      const there = anchorsOf(relative(root, file));
      assert.ok(there.includes(anchor), `${page} links to ${target}; ${file} has ${there}`);
    }
  });
}

/** A command that a document names. */
interface Named {
  readonly page: string;
  readonly name: string;
  /** What comes after it on its line. */
  readonly rest: string;
}

function commandsOf(page: string): Named[] {
  const text = read(page).replaceAll(/\\\n\s*/g, "");
  return text.matchAll(
    /(?:deno(?:@[\d.]+)? task|denotron\/cli|^denotron) ([a-z][\w:-]*)([^\n`|#)]*)/gm,
  )
    .map(([, name, rest]) => ({ page, name, rest })).toArray();
}

/** The options that the help of a command has. */
async function optionsOf(command: string): Promise<ReadonlySet<string>> {
  const terminal = memoryTerminal();
  assert.equal(await runDenotron([...command.split(" "), "--help"], terminal), 0, terminal.errors);
  return new Set(terminal.out.matchAll(/--[a-z][\w.-]*/g).map(([option]) => option));
}

Deno.test("every command that the documents name is there, with the options that they give it", async () => {
  const known = new Map<string, ReadonlySet<string>>(), stages = "pretrain sft puzzle distill";
  let count = 0;
  for (const { page, name, rest } of pages.flatMap(commandsOf)) {
    assert.ok(name in tasks, `${page} names deno task ${name}`);
    if (!tasks[name].command.includes(" cli/")) continue;
    const [word] = rest.trim().split(/\s+/);
    const isStage = name === "train" && word !== "" && stages.split(" ").includes(word);
    const command = isStage ? `${name} ${word}` : name;
    if (!known.has(command)) known.set(command, await optionsOf(command));
    for (const [option] of rest.matchAll(/--[a-z][\w.-]*/g)) {
      assert.ok(known.get(command)!.has(option), `${page}: deno task ${command} has no ${option}`);
      count++;
    }
    for (const [, recipe] of rest.matchAll(/recipes\/([\w-]+\.yaml)/g)) {
      assert.ok(existsSync(join(root, "train/recipes", recipe)), `${page} names recipes/${recipe}`);
    }
  }
  assert.ok(count > 20, `only ${count} options were found`);
});

Deno.test("every page of docs can be reached from README", () => {
  const reached = new Set<string>(), open = ["README.md"];
  for (let page = open.pop(); page !== undefined; page = open.pop()) {
    if (reached.has(page)) continue;
    reached.add(page);
    for (const [, target] of read(page).matchAll(/\]\((?!https?:)([^)#\s]+\.md)/g)) {
      open.push(relative(root, join(root, dirname(page), target)));
    }
  }
  assert.deepEqual(pages.filter((page) => !reached.has(page)), []);
});
