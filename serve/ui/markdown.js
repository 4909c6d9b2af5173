// The Markdown that models write, as elements. Text never becomes markup, so that no answer can run anything.

/** A fragment for a text: headings, lists, code, paragraphs; bold, italics and code within. */
export function render(text) {
  const fragment = document.createDocumentFragment();
  const lines = text.split("\n");
  for (let i = 0; i < lines.length;) i = block(lines, i, fragment);
  return fragment;
}

/** Adds the block that begins in line `i`; returns where the next one begins. */
function block(lines, i, parent) {
  const line = lines[i];
  if (line.trim() === "") return i + 1;
  if (line.startsWith("```")) {
    let end = i + 1;
    while (end < lines.length && !lines[end].startsWith("```")) end++;
    const code = element("code");
    code.textContent = lines.slice(i + 1, end).join("\n");
    add(parent, "pre", code);
    return end + 1;
  }
  const heading = /^(#{1,3})\s+(.*)$/.exec(line);
  if (heading) {
    add(parent, `h${heading[1].length + 1}`, ...inline(heading[2]));
    return i + 1;
  }
  const item = listItem(line);
  if (item) return list(lines, i, item.ordered, parent);
  let end = i + 1;
  while (end < lines.length && lines[end].trim() !== "" && !startsBlock(lines[end])) end++;
  const parts = lines.slice(i, end).flatMap((one, k) =>
    k === 0 ? inline(one) : [element("br"), ...inline(one)]
  );
  add(parent, "p", ...parts);
  return end;
}

function list(lines, i, ordered, parent) {
  const items = add(parent, ordered ? "ol" : "ul");
  for (; i < lines.length; i++) {
    const item = listItem(lines[i]);
    if (item?.ordered !== ordered) break;
    if (ordered && items.childElementCount === 0) items.start = item.number;
    add(items, "li", ...inline(item.text));
  }
  return i;
}

function listItem(line) {
  const [, mark, text] = /^\s*([-*•]|\d+[.)])\s+(.*)$/.exec(line) ?? [];
  if (mark === undefined) return null;
  return { text, ordered: /\d/.test(mark), number: parseInt(mark) };
}

function startsBlock(line) {
  return line.startsWith("```") || /^#{1,3}\s/.test(line) || listItem(line) !== null;
}

/** Nodes for a line of text. */
function inline(text) {
  const pattern = /(`[^`]+`)|(\*\*[^*]+\*\*)|(\*[^*\s][^*]*\*)/g;
  const nodes = [];
  let from = 0;
  for (const match of text.matchAll(pattern)) {
    nodes.push(document.createTextNode(text.slice(from, match.index)));
    const [whole, code, strong] = match;
    const node = element(code ? "code" : strong ? "strong" : "em");
    const marks = strong ? 2 : 1;
    node.textContent = whole.slice(marks, -marks);
    nodes.push(node);
    from = match.index + whole.length;
  }
  nodes.push(document.createTextNode(text.slice(from)));
  return nodes;
}

function element(name) {
  return document.createElement(name);
}

function add(parent, name, ...children) {
  const child = element(name);
  child.append(...children);
  parent.append(child);
  return child;
}
