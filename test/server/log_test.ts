import { assertEquals } from "@std/assert";
import { configure, type LogRecord, reset } from "@logtape/logtape";
import { describe, it } from "node:test";
import { TransportError } from "../../runtime/types.ts";
import { logEvents } from "../../server/log.ts";

/** The levels at which something is logged. */
async function levelsOf(act: () => void): Promise<string[]> {
  const records: LogRecord[] = [];
  await configure({
    sinks: { kept: (record) => records.push(record) },
    loggers: [
      { category: "hotwheels", lowestLevel: "debug", sinks: ["kept"] },
      { category: ["logtape", "meta"], lowestLevel: "warning", sinks: ["kept"] },
    ],
  });
  act();
  await reset();
  return records.map(({ level }) => level);
}

describe("the log", () => {
  it("isn't filled by clients that abort before they are accepted", async () => {
    const levels = await levelsOf(() => {
      logEvents().onAcceptError(new TransportError("connection_reset", "aborted"));
    });
    assertEquals(levels, ["debug"]);
  });

  it("tells as an error that the system lets nobody in", async () => {
    const levels = await levelsOf(() => {
      logEvents().onAcceptError(new TransportError("descriptors_exhausted", "none left"));
    });
    assertEquals(levels, ["error"]);
  });
});
