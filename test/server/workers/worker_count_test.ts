import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { describe, it } from "node:test";
import { MAX_WORKERS } from "../../../host/capacity.ts";
import { HELP } from "../../../server/command/help.ts";
import { parseCommand, workersFor } from "../../../server/command/options.ts";

describe("the number of workers", () => {
  it("is one a processor where it's auto, but never more than may be asked for", () => {
    for (const processors of [1, 2, MAX_WORKERS, MAX_WORKERS + 1, 128, 1_024]) {
      const workers = workersFor(processors);
      assertEquals(workers, Math.min(processors, 64));
      const command = parseCommand(["--workers", String(workers)]);
      assert(command.does === "serve");
      assertEquals(command.options.workers, workers);
    }
    assertThrows(() => parseCommand(["--workers", "65"]), Error, "--workers must be");
  });

  it("has its maximum in --help, for auto too", () => {
    assertMatch(HELP, /--workers N [^-]*auto for\s+one a core; 64 at most, either way/);
  });
});
