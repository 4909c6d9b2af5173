/** A binary heap: {@linkcode pop} returns the element that comes before all others. */
export class Heap<Element> {
  readonly #elements: Element[] = [];
  readonly #comesFirst: (a: Element, b: Element) => boolean;

  /** `comesFirst(a, b)`: whether `a` must leave the heap before `b`. */
  constructor(comesFirst: (a: Element, b: Element) => boolean) {
    this.#comesFirst = comesFirst;
  }

  /** Adds an element. O(log n). */
  push(element: Element): void {
    const elements = this.#elements;
    let at = elements.length;
    elements.push(element);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!this.#comesFirst(element, elements[parent])) break;
      elements[at] = elements[parent];
      at = parent;
    }
    elements[at] = element;
  }

  /** Removes and returns the first element, or undefined when empty. O(log n). */
  pop(): Element | undefined {
    const elements = this.#elements;
    const first = elements[0];
    const last = elements.pop();
    if (last === undefined || elements.length === 0) return last;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= elements.length) break;
      const right = child + 1;
      if (right < elements.length && this.#comesFirst(elements[right], elements[child])) child++;
      if (!this.#comesFirst(elements[child], last)) break;
      elements[at] = elements[child];
      at = child;
    }
    elements[at] = last;
    return first;
  }
}
