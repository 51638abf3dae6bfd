/**
 * The suite on Node: a program that is told by lines of JSON which case to run. Deno and Bun can run it too.
 *
 * @module
 */

import process from "node:process";
import { createInterface } from "node:readline";
import { connect } from "../../../client/mod.ts";
import { runRemotely } from "./remote.ts";

const waiting = new Map<number, (answer: { value?: unknown; error?: string }) => void>();
let calls = 0;

function say(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

async function call(method: string, args: readonly unknown[]): Promise<unknown> {
  const id = ++calls;
  say({ id, method, args });
  const { value, error } = await new Promise<{ value?: unknown; error?: string }>((resolve) => {
    waiting.set(id, resolve);
  });
  if (error !== undefined) throw new Error(error);
  return value;
}

createInterface({ input: process.stdin }).on("line", async (line) => {
  const { id, answer, name, door } = JSON.parse(line);
  if (id !== undefined) {
    waiting.get(id)!(answer);
    waiting.delete(id);
  } else say({ failure: await runRemotely(name, door, connect, call) ?? null });
});
