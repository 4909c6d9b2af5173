/** The chat page in a real browser. */
import { existsSync } from "node:fs";
import assert from "node:assert/strict";
import { type Browser, chromium, type Page } from "playwright-core";
import { eventually, type RunningServer, withServer } from "./support.ts";

const programs = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
const program = Deno.env.get("DENOTRON_CHROMIUM") ?? programs.find((path) => existsSync(path));
if (program === undefined) console.log("skipped: there is no Chromium (set DENOTRON_CHROMIUM)");

/** Runs a test with the page open; fails on any error that the browser reports. */
function pageTest(
  name: string,
  test: (page: Page, server: RunningServer) => Promise<void>,
  viewport = { width: 1100, height: 750 },
): void {
  Deno.test({
    name,
    ignore: program === undefined,
    // The browser's own connection outlives single awaits.
    sanitizeOps: false,
    sanitizeResources: false,
    fn: () =>
      withServer(async (server) => {
        const browser: Browser = await chromium.launch({
          executablePath: program!,
          args: ["--no-sandbox"],
        });
        try {
          const page = await browser.newPage({ viewport });
          const errors: string[] = [];
          page.on("pageerror", (error) => errors.push(error.message));
          page.on("console", (message) => {
            if (message.type() === "error") errors.push(message.text());
          });
          await page.goto(server.url);
          await until(page, `document.title.startsWith("tiny")`);
          await test(page, server);
          assert.deepEqual(errors, []);
        } finally {
          await browser.close();
        }
      }),
  });
}

/** Keeps a picture where someone wants to look at it. */
async function picture(page: Page, name: string): Promise<void> {
  const folder = Deno.env.get("DENOTRON_PICTURES");
  if (folder !== undefined) await page.screenshot({ path: `${folder}/${name}.png` });
}

async function ask(page: Page, text: string): Promise<void> {
  await page.fill("#question", text);
  await page.keyboard.press("Enter");
}

/** Waits until an expression holds in the page. Asked from outside: the page itself may not evaluate texts. */
function until(page: Page, expression: string): Promise<void> {
  return eventually(() => page.evaluate<boolean>(expression), expression);
}

/** What an element says, for the browser to evaluate. */
function text(selector: string): string {
  return `(document.querySelector("${selector}")?.textContent ?? "")`;
}

/** Figures come with the last event; the next question may be sent when the stream has ended. */
async function answered(page: Page, count: number): Promise<void> {
  const all = `document.querySelectorAll("article.assistant .figures:not(:empty)")`;
  await until(page, `${all}.length >= ${count} && !document.getElementById("send").hidden`);
}

pageTest(
  "a question is answered as it streams, with figures, and survives a reload",
  async (page) => {
    await page.click("#settings-button");
    await page.fill("#max_tokens", "60");
    await page.click("#settings-button");
    await ask(page, "Once upon a time");
    await until(page, `${text("article.assistant > div")}.length > 10`);
    await answered(page, 1);
    await ask(page, "And then?");
    await answered(page, 2);
    const figures = await page.textContent("article.assistant .figures");
    assert.match(figures!, /\d+ tokens · \d+ tokens\/s · first after \d+ ms/);
    await picture(page, "desktop");
    const texts = await page.locator("article").allTextContents();
    await page.reload();
    await until(page, `document.querySelectorAll("article").length === 4`);
    assert.deepEqual(await page.locator("article").allTextContents(), texts);
  },
);

pageTest("an answer can be stopped, and what came of it stays", async (page, { host }) => {
  await page.click("#settings-button");
  await page.fill("#max_tokens", "400");
  await page.route("**/v1/chat/completions", (route) => {
    const body = { ...route.request().postDataJSON(), ignore_eos: true };
    return route.continue({ postData: JSON.stringify(body) });
  });
  // Pressed in the page itself, as soon as there is some text: on a busy machine a key from outside may come after the end.
  await page.evaluate(`new MutationObserver((_, observer) => {
    if (${text("article.assistant")}.length <= 20) return;
    observer.disconnect();
    const escape = new KeyboardEvent("keydown", { key: "Escape", bubbles: true });
    document.activeElement.dispatchEvent(escape);
  }).observe(document.body, { childList: true, subtree: true, characterData: true })`);
  await ask(page, "Once upon a time");
  await until(page, `${text("article.assistant .figures")} === "stopped"`);
  assert.ok((await page.textContent("article.assistant"))!.length > 20);
  await eventually(() => host.running === 0, "the engine is free");
});

pageTest("the reasoning switch is sent, and thinking folds", async (page) => {
  const requests: { chat_template_kwargs: unknown }[] = [];
  page.on("request", (request) => {
    if (request.url().endsWith("/chat/completions")) requests.push(request.postDataJSON());
  });
  await page.check("#thinking");
  await ask(page, "Once");
  await answered(page, 1);
  assert.deepEqual(requests[0].chat_template_kwargs, { enable_thinking: true });
  // What a model that thinks would send.
  await page.route("**/v1/chat/completions", (route) =>
    route.fulfill({
      contentType: "text/event-stream",
      body: [
        { choices: [{ delta: { reasoning_content: "2 and 2 are **4**" } }] },
        { choices: [{ delta: { content: "**Four** of `them`:\n\n1. one\n2. <b>two</b>" } }] },
        { choices: [{ delta: {}, finish_reason: "stop" }] },
      ].map((event) => `data: ${JSON.stringify(event)}\n\n`).join("") + "data: [DONE]\n\n",
    }));
  await ask(page, "2 + 2?");
  await until(page, `document.querySelectorAll("article.assistant li").length === 2`);
  const last = page.locator("article.assistant").last();
  assert.equal(await last.locator("summary").textContent(), "Thought");
  assert.equal(await last.locator("details").getAttribute("open"), null);
  await last.locator("summary").click();
  assert.equal(await last.locator("details > div").isVisible(), true);
  assert.equal(await last.locator("strong").textContent(), "Four");
  assert.equal(await last.locator("b").count(), 0);
  await picture(page, "thinking");
});

pageTest("a new conversation is empty, settings stay", async (page) => {
  await page.click("#settings-button");
  await page.fill("#max_tokens", "7");
  await ask(page, "Once");
  await answered(page, 1);
  await picture(page, "settings");
  await page.click("#new");
  assert.equal(await page.locator("article").count(), 0);
  await page.reload();
  assert.equal(await page.inputValue("#max_tokens"), "7");
});

pageTest("it fits a phone, and the keyboard reaches everything", async (page) => {
  await ask(page, "Once upon a time");
  await answered(page, 1);
  const width = await page.evaluate<number>("document.documentElement.scrollWidth");
  assert.ok(width <= 390, `${width} px wide`);
  await picture(page, "phone");
  const reached = new Set<string>();
  for (let i = 0; i < 12; i++) {
    await page.keyboard.press("Tab");
    reached.add(await page.evaluate<string>(`document.activeElement?.id ?? ""`));
  }
  for (const id of ["new", "settings-button", "question", "thinking", "send"]) {
    assert.ok(reached.has(id), `${id} is not reached: ${[...reached]}`);
  }
}, { width: 390, height: 800 });

pageTest("everything has a name for screen readers", async (page) => {
  await page.click("#settings-button");
  const nameless = await page.evaluate<string[]>(`
    [...document.querySelectorAll("input, textarea, button")]
      .filter((element) =>
        (element.labels?.length ?? 0) === 0 && !element.textContent?.trim() &&
        !element.getAttribute("aria-label")
      )
      .map((element) => element.outerHTML)
  `);
  assert.deepEqual(nameless, []);
  assert.equal(await page.getAttribute("#conversation", "role"), "log");
  assert.equal(await page.getAttribute("#status", "aria-live"), "polite");
});
