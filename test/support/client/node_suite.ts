import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { bundle, cannotBundle } from "../bundle.ts";
import type { Door } from "./bed.ts";
import { casesOf } from "./client_suite.ts";
import { MachineBed } from "./machine_bed.ts";
import { RemoteSuite } from "./remote_suite.ts";
import { TESTED_RUNTIMES } from "../processes/tested_runtimes.ts";

const { status, stdout } = spawnSync("node", ["--version"], { encoding: "utf8" });
const version = status === 0 ? Number(/^v(\d+)/.exec(stdout)?.[1]) : 0;

/** Why the suite can't run on Node; `false` if it can. */
export const cannotRunNode = version < 20
  ? "there is no Node of version 20 or later here"
  : cannotBundle;

/** The suite as one file that Node can run. */
export class NodeProgram {
  readonly #folder = mkdtempSync(join(tmpdir(), "hotwheels-node-"));
  /** The words that run it. */
  readonly command: readonly string[];

  constructor() {
    const program = join(this.#folder, "suite.mjs");
    writeFileSync(program, bundle("test/client/suite/node_main.ts", { platform: "node" }));
    // Node 22 has it without being told.
    const flags = version < 22 ? ["--experimental-websocket", "--no-warnings"] : [];
    this.command = ["node", ...flags, program];
  }

  dispose(): void {
    rmSync(this.#folder, { recursive: true });
  }
}

/** Runs the suite on Node, with servers on the runtime that runs the test. */
export function nodeSuite(door: Door): void {
  for (const runtime of TESTED_RUNTIMES) {
    describe(`the client on Node, over ${door}, with servers on ${runtime}`, {
      skip: cannotRunNode,
    }, () => {
      const bed = new MachineBed(runtime);
      let program: NodeProgram | undefined;
      let node: RemoteSuite | undefined;
      before(() => {
        program = new NodeProgram();
        node = new RemoteSuite(bed, program.command);
      });
      after(async () => {
        await node?.dispose();
        program?.dispose();
        await bed.dispose();
      });
      for (const { name } of casesOf(door)) {
        it(name, { timeout: 120_000 }, () => node!.run(name, door));
      }
    });
  }
}
