import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, describe, it } from "node:test";
import { bundle, cannotBundle } from "../bundle.ts";
import type { Bed, Door } from "./bed.ts";
import { casesOf } from "./client_suite.ts";
import { MachineBed } from "./machine_bed.ts";
import { leftTo, TESTED_RUNTIMES } from "../processes/tested_runtimes.ts";

const { status, stdout } = spawnSync("node", ["--version"], { encoding: "utf8" });
const version = status === 0 ? Number(/^v(\d+)/.exec(stdout)?.[1]) : 0;
const skip = version < 20 ? "there is no Node of version 20 or later here" : cannotBundle;

/** The suite as a program on Node. */
class NodeSuite {
  readonly #folder = mkdtempSync(join(tmpdir(), "hotwheels-node-"));
  readonly #child: ChildProcess;
  #onResult: (failure: string | null) => void = () => {};
  #errors = "";

  constructor(bed: Bed) {
    const program = join(this.#folder, "suite.mjs");
    writeFileSync(program, bundle("test/client/suite/node_main.ts", { platform: "node" }));
    // Node 22 has it without being told.
    const flags = version < 22 ? ["--experimental-websocket", "--no-warnings"] : [];
    this.#child = spawn("node", [...flags, program]);
    this.#child.stderr!.setEncoding("utf8").on("data", (text: string) => this.#errors += text);
    this.#child.on("close", () => this.#onResult(`Node has ended: ${this.#errors}`));
    createInterface({ input: this.#child.stdout! }).on("line", async (line) => {
      const { id, method, args, failure } = JSON.parse(line);
      if (id === undefined) return this.#onResult(failure);
      const answer = await (bed[method as keyof Bed] as (...args: unknown[]) => Promise<unknown>)
        .apply(bed, args).then((value) => ({ value }), (error) => ({ error: String(error) }));
      this.#say({ id, answer });
    });
  }

  async run(name: string, door: Door): Promise<void> {
    const failure = await new Promise<string | null>((resolve) => {
      this.#onResult = resolve;
      this.#say({ name, door });
    });
    if (failure !== null) throw new Error(failure);
  }

  #say(line: object): void {
    this.#child.stdin!.write(`${JSON.stringify(line)}\n`);
  }

  async dispose(): Promise<void> {
    const closed = new Promise((resolve) => this.#child.once("close", resolve));
    this.#onResult = () => {};
    this.#child.kill("SIGKILL");
    await closed;
    rmSync(this.#folder, { recursive: true });
  }
}

/** Runs the suite on Node, with servers on the runtime that runs the test. */
export function nodeSuite(door: Door): void {
  for (const runtime of TESTED_RUNTIMES) {
    describe(`the client on Node, over ${door}, with servers on ${runtime}`, { skip }, () => {
      const bed = new MachineBed(runtime);
      let node: NodeSuite;
      before(() => {
        node = new NodeSuite(bed);
      });
      after(async () => {
        await node?.dispose();
        await bed.dispose();
      });
      for (const { name, isScripted } of casesOf(door)) {
        const skip = isScripted === true && leftTo("deno");
        it(name, { timeout: 60_000, skip }, () => node.run(name, door));
      }
    });
  }
}
