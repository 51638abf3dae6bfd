import type { ConnectOptions, Hotwheels } from "../../../client/exports.ts";
import type { Bed, Door, Ports } from "../../support/client/bed.ts";

/** The client under test: its entry for this platform. */
export type Connect = (
  urls: string | URL | readonly (string | URL)[],
  options?: ConnectOptions,
) => Promise<Hotwheels>;

/** What a case works with. */
export interface Try {
  readonly bed: Bed;
  readonly door: Door;
  readonly connect: Connect;
  /** A topic that no other case uses. */
  readonly topic: string;
  /** The URL of a server's door, or of a port. */
  url(server: Ports | number): string;
}

export interface Case {
  readonly name: string;
  /** The door that it needs; both, one after the other, unless given. */
  readonly door?: Door;
  /** True if it needs no server of ours, so that it is the same whichever runtime has those. */
  readonly isScripted?: true;
  /** True if its process must trust the bed's authority, which it has to know when it starts. */
  readonly needsTrust?: true;
  run(t: Try): Promise<void>;
}

/** Comes back at once, since tests have no time. Node 20's WebSocket doesn't always tell that it failed. */
export const QUICK: ConnectOptions = { retry: { minMs: 20, maxMs: 50 }, timeout: 3_000 };

/** Takes the next items of an iterator, and leaves it open. */
export async function take<Item>(items: AsyncIterator<Item>, count: number): Promise<Item[]> {
  const taken: Item[] = [];
  while (taken.length < count) {
    const { value, done } = await items.next();
    if (done) throw new Error(`it ended after ${taken.length} of ${count}`);
    taken.push(value);
  }
  return taken;
}

/** The data of the next messages. */
export async function data(
  messages: AsyncIterator<{ readonly message: { readonly data?: unknown } }>,
  count: number,
): Promise<unknown[]> {
  return (await take(messages, count)).map(({ message }) => message.data);
}

/** Waits for the next item that fits. */
export async function find<Item, Found extends Item>(
  items: AsyncIterator<Item>,
  fits: (item: Item) => item is Found,
): Promise<Found>;
export async function find<Item>(
  items: AsyncIterator<Item>,
  fits: (item: Item) => boolean,
): Promise<Item>;
export async function find<Item>(
  items: AsyncIterator<Item>,
  fits: (item: Item) => boolean,
): Promise<Item> {
  for (;;) {
    const [item] = await take(items, 1);
    if (fits(item!)) return item!;
  }
}

/** The reason for which a promise rejects. */
export async function failure(promise: Promise<unknown>): Promise<Error> {
  try {
    await promise;
  } catch (error) {
    return error as Error;
  }
  throw new Error("it didn't fail");
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Waits until something holds. */
export async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const beganMs = performance.now();
  while (!await holds()) {
    if (performance.now() - beganMs > 15_000) throw new Error(`waited in vain until ${what}`);
    await sleep(10);
  }
}

/** The URL of a server's door, or of a port. */
export function urlOf(door: Door, server: Ports | number): string {
  const port = typeof server === "number" ? server : server[door];
  return `${door === "tcp" ? "hotwheels" : "ws"}://127.0.0.1:${port}`;
}
