// The chat page: asks this server, shows the answer as it comes.
import { events } from "./events.js";
import { render } from "./markdown.js";

const $ = (id) => document.getElementById(id);
const conversation = $("conversation"), question = $("question");
const numbers = [
  "temperature",
  "top_p",
  "top_k",
  "min_p",
  "repetition_penalty",
  "max_tokens",
  "seed",
];
const remembered = [...numbers, "system", "thinking"];

let messages = [];
let running = null;

/** Settings survive a reload; the key only as long as the tab. */
function restore() {
  const saved = JSON.parse(localStorage.getItem("denotron") ?? "{}");
  for (const name of remembered) {
    if (saved[name] === undefined) continue;
    if ($(name).type === "checkbox") $(name).checked = saved[name];
    else $(name).value = saved[name];
  }
  $("key").value = sessionStorage.getItem("denotron-key") ?? "";
  messages = JSON.parse(sessionStorage.getItem("denotron-messages") ?? "[]");
  for (const message of messages) show(message);
  showValues();
}

function remember() {
  const values = remembered.map((name) => [
    name,
    $(name).type === "checkbox" ? $(name).checked : $(name).value,
  ]);
  localStorage.setItem("denotron", JSON.stringify(Object.fromEntries(values)));
  sessionStorage.setItem("denotron-key", $("key").value);
  sessionStorage.setItem("denotron-messages", JSON.stringify(messages));
}

function showValues() {
  for (const output of document.querySelectorAll("aside output")) {
    output.value = $(output.htmlFor.value).value;
  }
}

function headers() {
  const key = $("key").value;
  return { "content-type": "application/json", ...(key ? { authorization: `Bearer ${key}` } : {}) };
}

async function showModel() {
  try {
    const response = await fetch("v1/models", { headers: headers() });
    const body = await response.json();
    if (!response.ok) throw new Error(body.error.message);
    $("model").value = body.data[0].id;
    document.title = `${body.data[0].id} – Denotron`;
    $("status").textContent = "";
  } catch (error) {
    $("status").textContent = error.message;
  }
}

/** The request for the conversation so far. */
function request() {
  const system = $("system").value.trim();
  const settings = numbers
    .filter((name) => $(name).value !== "")
    .map((name) => [name, Number($(name).value)]);
  return {
    ...Object.fromEntries(settings),
    messages: [
      ...(system ? [{ role: "system", content: system }] : []),
      ...messages.map(({ role, content }) => ({ role, content })),
    ],
    chat_template_kwargs: { enable_thinking: $("thinking").checked },
    stream: true,
    stream_options: { include_usage: true },
  };
}

/** An article for a message; an answer's gets its parts as they come. */
function show({ role, content, reasoning, figures }) {
  $("greeting")?.remove();
  const article = document.createElement("article");
  article.className = role;
  article.setAttribute("aria-label", role === "user" ? "You" : "Answer");
  conversation.append(article);
  if (role === "user") article.textContent = content;
  else article.view = new AnswerView(article);
  article.view?.update({ content, reasoning, figures, done: true });
  conversation.scrollTop = conversation.scrollHeight;
  return article;
}

/** The parts of an answer: folded thinking, text, figures. */
class AnswerView {
  constructor(article) {
    this.details = document.createElement("details");
    this.summary = document.createElement("summary");
    this.thinking = document.createElement("div");
    this.text = document.createElement("div");
    this.figures = document.createElement("p");
    this.figures.className = "figures";
    this.details.append(this.summary, this.thinking);
    this.details.hidden = true;
    article.append(this.details, this.text, this.figures);
  }

  update({ content, reasoning, figures, done }) {
    const follows =
      conversation.scrollHeight - conversation.scrollTop - conversation.clientHeight < 80;
    this.details.hidden = !reasoning;
    this.summary.textContent = content || done ? "Thought" : "Thinking…";
    this.thinking.textContent = reasoning;
    this.text.className = content || done ? "" : "waiting";
    this.text.replaceChildren(render(content));
    this.figures.textContent = figures ?? "";
    if (follows) conversation.scrollTop = conversation.scrollHeight;
  }
}

/** Sends the conversation and shows the answer as it comes. Whatever came of it stays. */
async function answer() {
  const mine = messages; // a new conversation may begin while this answer still comes
  const { view } = show({ role: "assistant", content: "" });
  const reply = { role: "assistant", content: "", reasoning: "" };
  running = new AbortController();
  setRunning(true);
  try {
    const response = await fetch("v1/chat/completions", {
      method: "POST",
      headers: headers(),
      body: JSON.stringify(request()),
      signal: running.signal,
    });
    if (!response.ok) throw new Error((await response.json()).error.message);
    for await (const event of events(response.body)) {
      if (event.error) throw new Error(event.error.message);
      const { delta, finish_reason } = event.choices[0] ?? {};
      reply.content += delta?.content ?? "";
      reply.reasoning += delta?.reasoning_content ?? "";
      if (finish_reason) reply.reason = finish_reason;
      if (event.timings) reply.figures = figuresOf(event.timings, reply.reason);
      view.update(reply);
    }
  } catch (error) {
    if (error.name === "AbortError") reply.figures = "stopped";
    else {
      view.figures.classList.add("error");
      reply.figures = error.message;
    }
  }
  view.update({ ...reply, done: true });
  if (reply.content || reply.reasoning) mine.push(reply);
  setRunning(false);
  remember();
}

function figuresOf(
  { prompt_n, cache_n, queue_ms, prompt_ms, predicted_n, predicted_per_second },
  reason,
) {
  return [
    `${predicted_n} tokens`,
    predicted_per_second ? `${predicted_per_second.toFixed(0)} tokens/s` : "",
    `first after ${Math.round(queue_ms + prompt_ms)} ms`,
    `prompt ${prompt_n + cache_n}${cache_n ? ` (${cache_n} reused)` : ""}`,
    reason === "length" ? "cut at the most new tokens" : "",
  ].filter(Boolean).join(" · ");
}

function setRunning(is) {
  if (!is) running = null;
  $("send").hidden = is;
  $("stop").hidden = !is;
  $("status").textContent = is ? "Answering…" : "Done";
  question.focus();
}

$("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  const content = question.value.trim();
  if (content === "" || running) return;
  question.value = "";
  grow();
  messages.push({ role: "user", content });
  show({ role: "user", content });
  answer();
});

question.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  $("composer").requestSubmit();
});

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") running?.abort();
});

function grow() {
  question.style.height = "auto";
  question.style.height = `${question.scrollHeight}px`;
}

question.addEventListener("input", grow);
$("stop").addEventListener("click", () => running?.abort());
$("new").addEventListener("click", () => {
  running?.abort();
  messages = [];
  conversation.replaceChildren();
  $("status").textContent = "New conversation";
  remember();
  question.focus();
});
$("settings-button").addEventListener("click", () => {
  $("settings").hidden = !$("settings").hidden;
  $("settings-button").setAttribute("aria-expanded", String(!$("settings").hidden));
});
$("settings").addEventListener("input", () => {
  showValues();
  remember();
});
$("thinking").addEventListener("change", remember);
$("key").addEventListener("change", showModel);
$("save").addEventListener("click", () => {
  const link = document.createElement("a");
  const text = JSON.stringify({ model: $("model").value, messages }, null, 2);
  link.href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  link.download = "conversation.json";
  link.click();
  URL.revokeObjectURL(link.href);
});

restore();
showModel();
