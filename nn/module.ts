/**
 * What layers and models have in common.
 *
 * @module
 */
import { Tensor } from "../tensor/mod.ts";
import type { ParameterArena } from "./arena.ts";
import { checkState, copyEntry, entryOf, openState, type State, writeState } from "./state.ts";

/** How `Module.load()` treats names that only one side has. */
export interface LoadOptions {
  /** Whether missing and surplus names are errors; true by default. Shapes must fit in any case. */
  readonly strict?: boolean;
}

/**
 * A layer or a model. Its public fields are its structure: tensors are parameters, modules and lists of modules are parts,
 * each named by the fields that lead to it (`blocks.3.attention.q.weight`). What lies in `#private` fields is no parameter.
 * A module owns what its fields hold.
 *
 * @example
 * ```ts
 * import { Linear, Module, normal, parameter } from "@denotron/denotron/nn";
 * import { scope, Tensor } from "@denotron/denotron/tensor";
 * import assert from "node:assert/strict";
 *
 * class Perceptron extends Module {
 *   readonly inner = new Linear(parameter([8, 2], normal(0.5), "inner"));
 *   readonly outer = new Linear(parameter([1, 8], normal(0.5), "outer"));
 *
 *   // x: [batch, 2] → [batch, 1]
 *   forward(x: Tensor): Tensor {
 *     return this.outer.forward(this.inner.forward(x).relu());
 *   }
 * }
 *
 * using model = new Perceptron();
 * scope(() => model.forward(Tensor.ones([4, 2])).sum().backward());
 * assert.deepEqual([...model.namedParameters().keys()], ["inner.weight", "outer.weight"]);
 * ```
 */
export abstract class Module implements Disposable {
  #training = true;
  #arenas: ParameterArena[] = [];

  /** Whether it is being trained, which layers such as dropout ask; true at first. */
  get training(): boolean {
    return this.#training;
  }

  /** Sets the training mode of this module and its parts. Returns this module. */
  train(on = true): this {
    for (const module of this.modules().values()) module.#training = on;
    return this;
  }

  /** Turns the training mode off. Returns this module. */
  eval(): this {
    return this.train(false);
  }

  /** This module, named "", and all parts by dotted name, in declaration order; shared ones once. */
  modules(): Map<string, Module> {
    const found = new Map<Module, string>();
    const visit = (module: Module, name: string): void => {
      if (found.has(module)) return;
      found.set(module, name);
      for (const { name: field, value } of membersOf(module)) {
        if (value instanceof Module) visit(value, join(name, field));
      }
    };
    visit(this, "");
    return new Map(found.entries().map(([module, name]) => [name, module]));
  }

  /** All parameters by dotted name, in declaration order; a tensor that is used twice has its first name. */
  namedParameters(): Map<string, Tensor> {
    const found = new Map<Tensor, string>();
    for (const [prefix, module] of this.modules()) {
      for (const { name, value } of membersOf(module)) {
        if (value instanceof Tensor && !found.has(value)) found.set(value, join(prefix, name));
      }
    }
    return new Map(found.entries().map(([tensor, name]) => [name, tensor]));
  }

  /** The arenas that hold parameters of this module and its parts. */
  arenas(): ParameterArena[] {
    return [...this.modules().values()].flatMap((module) => module.#arenas);
  }

  /** Where weights are kept, by name: the f32 master of each parameter that has one, else the parameter itself. */
  weights(): Map<string, Tensor> {
    const arenas = this.arenas();
    const master = (leaf: Tensor): Tensor =>
      arenas.map((arena) => arena.masterOf(leaf)).find((found) => found !== undefined) ?? leaf;
    return new Map(this.namedParameters().entries().map(([name, leaf]) => [name, master(leaf)]));
  }

  /** Makes an arena that holds parameters of this module its property, to be disposed with it. */
  own(arena: ParameterArena): void {
    this.#arenas.push(arena);
  }

  /** Puts other tensors into the fields that hold the keys of `moved`. */
  replaceParameters(moved: ReadonlyMap<Tensor, Tensor>): void {
    for (const module of this.modules().values()) {
      for (const { holder, key, value } of membersOf(module)) {
        const other = value instanceof Tensor ? moved.get(value) : undefined;
        if (other) Reflect.set(holder, key, other);
      }
    }
  }

  /** Stops computing gradients of the parameters whose names match, all by default. Returns this module. */
  freeze(pattern: RegExp = /^/): this {
    return this.#require(pattern, false);
  }

  /** Computes gradients of the parameters whose names match again, all by default. Returns this module. */
  unfreeze(pattern: RegExp = /^/): this {
    return this.#require(pattern, true);
  }

  #require(pattern: RegExp, on: boolean): this {
    for (const [name, leaf] of this.namedParameters()) {
      if (name.search(pattern) >= 0) leaf.requireGrad(on);
    }
    return this;
  }

  /** The weights as entries of a checkpoint, read when they are asked for. */
  state(): State {
    return new Map(this.weights().entries().map(([name, tensor]) => [name, entryOf(tensor)]));
  }

  /**
   * Copies weights from another module's `state()`, a checkpoint's entries, or a safetensors file, cast to the types here.
   * Nothing is changed when something does not fit: then CheckpointError names each tensor, and both shapes.
   */
  load(source: string | State, { strict = true }: LoadOptions = {}): void {
    if (typeof source === "string") {
      using file = openState(source);
      return this.load(file.state, { strict });
    }
    const weights = this.weights();
    checkState(source, weights, strict);
    for (const [name, tensor] of weights) {
      const entry = source.get(name);
      if (entry) copyEntry(entry, tensor);
    }
    for (const arena of this.arenas()) arena.refresh();
  }

  /** Writes the weights to a safetensors file. */
  save(path: string): void {
    writeState(path, this.state());
  }

  /** Gives the memory of all parameters back. Safe to call twice. */
  [Symbol.dispose](): void {
    for (const { value } of membersOf(this)) value[Symbol.dispose]();
    for (const arena of this.#arenas) arena[Symbol.dispose]();
  }
}

/** A tensor or module in a field, or in a list in a field. */
interface Member {
  /** From the module that has it, such as `blocks.3`. */
  readonly name: string;
  readonly value: Tensor | Module;
  /** Where it is stored. */
  readonly holder: object;
  readonly key: string;
}

function membersOf(module: Module): Member[] {
  const members: Member[] = [];
  const visit = (holder: object, prefix: string): void => {
    for (const [key, value] of Object.entries(holder)) {
      const name = join(prefix, key);
      if (value instanceof Tensor || value instanceof Module) {
        members.push({ name, value, holder, key });
      } else if (Array.isArray(value)) visit(value, name);
    }
  };
  visit(module, "");
  return members;
}

function join(prefix: string, name: string): string {
  return prefix === "" ? name : `${prefix}.${name}`;
}
