/**
 * The regular expressions that cut a text into words before byte-pair encoding, and their
 * translation to JavaScript.
 *
 * @module
 */

/** GPT-2 (`encoder.py`). */
export const gpt2Pattern: string = String
  .raw`'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`;

/** Llama 3: contractions in any case, at most three digits in a word, line breaks of their own. */
export const llama3Pattern: string = String
  .raw`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`;

/** Qwen 2: as Llama 3 with every digit a word. */
export const qwen2Pattern: string = llama3Pattern.replace(
  String.raw`\p{N}{1,3}`,
  String.raw`\p{N}`,
);

/** The Unicode property White_Space, which `\s` means where these patterns come from. */
const whiteSpace = String.raw`\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000`;

/**
 * Rewrites `\s` and `\S` so that JavaScript matches the Unicode property: its own `\s` has U+FEFF and
 * lacks U+0085.
 */
export function withUnicodeSpaces(pattern: string): string {
  let inClass = false;
  return pattern.replace(/\\.|\[|\]/gsu, (part) => {
    if (part === "[") inClass = true;
    else if (part === "]") inClass = false;
    else if (part === String.raw`\s`) return inClass ? whiteSpace : `[${whiteSpace}]`;
    else if (part === String.raw`\S` && !inClass) return `[^${whiteSpace}]`;
    return part;
  });
}

/** The words of a text under a pattern; together they are the whole text. */
export function splitter(pattern: string): (text: string) => string[] {
  const expression = new RegExp(withUnicodeSpaces(pattern), "gu");
  return (text) => {
    const words: string[] = [];
    let end = 0;
    for (const match of text.matchAll(expression)) {
      if (match.index > end) words.push(text.slice(end, match.index));
      if (match[0] !== "") words.push(match[0]);
      end = match.index + match[0].length;
    }
    if (end < text.length) words.push(text.slice(end));
    return words;
  };
}
