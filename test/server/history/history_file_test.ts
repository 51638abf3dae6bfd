import { assertEquals, assertThrows } from "@std/assert";
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { takeHistoryFile, writeHistoryFile } from "../../../server/history/history_file.ts";

function withFolder(body: (folder: string) => void): void {
  const folder = mkdtempSync(join(tmpdir(), "hotwheels-"));
  try {
    body(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Fails behind its first record, as a full disk does. */
function* failing(): Generator<Uint8Array> {
  yield new Uint8Array(100_000);
  throw new Error("no space left");
}

describe("a file of stored messages that can't be written whole", () => {
  it("leaves no part of it behind, and what was there before", () =>
    withFolder((folder) => {
      const path = join(folder, "history");
      writeHistoryFile(path, [new Uint8Array([7])]);
      assertThrows(() => writeHistoryFile(path, failing()), Error, "no space left");
      assertEquals(readdirSync(folder), ["history"]);
      assertEquals(takeHistoryFile(path)!.records.map((record) => [...record]), [[7]]);
      assertEquals(readdirSync(folder), []);
    }));

  it("leaves a directory of its name alone", () =>
    withFolder((folder) => {
      const path = join(folder, "history");
      mkdirSync(path);
      assertThrows(() => writeHistoryFile(path, []), Error, "it isn't a regular file");
      assertThrows(() => takeHistoryFile(path), Error, "it isn't a regular file");
      assertEquals(readdirSync(folder), ["history"]);
    }));
});
