import { assert, assertEquals } from "@std/assert";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { bundle, cannotBundle } from "../support/bundle.ts";
import { leftTo } from "../support/processes/tested_runtimes.ts";

/** By hand ten million were tried. */
const MESSAGES = 200_000;

/** The heap's growth from a tenth of the messages to all of them, in bytes. */
const MAX_GROWTH = 2 * 1024 * 1024;

const skip = spawnSync("node", ["--version"]).status === 0
  ? leftTo("bun") || cannotBundle
  : "there is no Node here";

describe("the client's heap", { skip }, () => {
  it("is no larger after very many messages", { timeout: 60_000 }, () => {
    const folder = mkdtempSync(join(tmpdir(), "hotwheels-heap-"));
    try {
      const program = join(folder, "heap.mjs");
      writeFileSync(program, bundle("test/client/fixtures/heap.ts", { platform: "node" }));
      const args = ["--expose-gc", program, String(MESSAGES)];
      const { status, stdout, stderr } = spawnSync("node", args, { encoding: "utf8" });
      assertEquals(status, 0, stderr);
      const [early = 0, late = 0] = stdout.trim().split(" ").map(Number);
      assert(early > 0 && late - early < MAX_GROWTH, stdout);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
