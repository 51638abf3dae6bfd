/**
 * Items on their way to the reader of an iterator.
 *
 * @module
 */

import { Fifo } from "./fifo.ts";

interface Delivery<Item> {
  readonly item: Item;
  readonly size: number;
}

/** The producer that fills {@linkcode Deliveries}, which is told what the reader does. */
export interface DeliveriesOwner {
  /** Called when the reader has taken an item that waited. */
  onTaken?(): void;
  /** Called once, when the reader wants no more: by `break`, `return` or `throw` in its loop. */
  onReturn?(): void;
}

/** An iterator that is filled from outside: what its reader hasn't taken yet waits. */
export class Deliveries<Item> implements AsyncIterableIterator<Item> {
  readonly #owner: DeliveriesOwner;
  readonly #waiting = new Fifo<Delivery<Item>>();
  readonly #readers = new Fifo<PromiseWithResolversOf<IteratorResult<Item>>>();
  #size = 0;
  #end: { readonly error: unknown } | "done" | undefined;

  constructor(owner: DeliveriesOwner) {
    this.#owner = owner;
  }

  /** The sizes of all that waits. */
  get size(): number {
    return this.#size;
  }

  push(item: Item, size: number): void {
    if (this.#end !== undefined) return;
    const reader = this.#readers.shift();
    if (reader !== undefined) return reader.resolve({ value: item, done: false });
    this.#waiting.push({ item, size });
    this.#size += size;
  }

  dropOldest(): void {
    this.#size -= this.#waiting.shift()?.size ?? 0;
  }

  /** Ends the iterator behind what waits. */
  end(): void {
    if (this.#end !== undefined) return;
    this.#end = "done";
    for (const reader of this.#readers.drain()) reader.resolve(DONE);
  }

  /** Ends the iterator with an error behind what waits. */
  fail(error: unknown): void {
    if (this.#end !== undefined) return;
    const reader = this.#readers.shift();
    this.#end = reader === undefined ? { error } : "done";
    reader?.reject(error);
    for (const other of this.#readers.drain()) other.resolve(DONE);
  }

  /** The next item, as soon as there is one. */
  next(): Promise<IteratorResult<Item>> {
    const taken = this.#waiting.shift();
    if (taken !== undefined) {
      this.#size -= taken.size;
      this.#owner.onTaken?.();
      return Promise.resolve({ value: taken.item, done: false });
    }
    const end = this.#end;
    if (end === "done") return Promise.resolve(DONE);
    if (end !== undefined) {
      this.#end = "done";
      return Promise.reject(end.error);
    }
    return new Promise((resolve, reject) => this.#readers.push({ resolve, reject }));
  }

  /** Ends the iterator at once, and drops what waits. */
  return(): Promise<IteratorResult<Item>> {
    this.#end = "done";
    this.#waiting.drain();
    this.#size = 0;
    for (const reader of this.#readers.drain()) reader.resolve(DONE);
    this.#owner.onReturn?.();
    return Promise.resolve(DONE);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}

/** `PromiseWithResolvers` without the promise. */
interface PromiseWithResolversOf<Value> {
  readonly resolve: (value: Value) => void;
  readonly reject: (error: unknown) => void;
}

const DONE: IteratorResult<never> = { value: undefined, done: true };
