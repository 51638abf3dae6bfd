import { assertEquals } from "@std/assert";
import { describe, it } from "node:test";
import { FirstBytes, type FirstBytesVerdict } from "../../protocol/first_bytes.ts";
import { everyByte, latin1 } from "./client_stream.ts";

const MARKER = "<regular-socket/>\0";

/** The result of a stream that is cut at these places. */
function verdict(text: string, cuts: readonly number[] = []): FirstBytesVerdict {
  const stream = latin1(text);
  const first = new FirstBytes();
  let from = 0;
  for (const to of [...cuts, stream.length]) {
    first.push(stream.subarray(from, to));
    from = to;
  }
  return first.verdict;
}

/** The same however the stream is cut. */
function assertVerdict(text: string, expected: FirstBytesVerdict): void {
  assertEquals(verdict(text), expected, text);
  const stream = latin1(text);
  assertEquals(verdict(text, everyByte(stream)), expected, text);
  for (const cut of everyByte(stream)) assertEquals(verdict(text, [cut]), expected, text);
}

describe("a client's first bytes", () => {
  it("are of 2009 where they are the marker, whatever stands behind it", () => {
    for (const more of ["", "\0", "PING\0", MARKER, "PUBLISH\0{", "x"]) {
      assertVerdict(MARKER + more, "of_2009");
    }
  });

  it("tell nothing before they come", () => assertVerdict("", "nothing"));

  it("are undecided while they are the marker's beginning", () => {
    for (let length = 1; length < MARKER.length; length++) {
      assertVerdict(MARKER.slice(0, length), "undecided");
    }
  });

  it("are of today as soon as they depart from it", () => {
    for (let length = 0; length < MARKER.length; length++) {
      assertVerdict(`${MARKER.slice(0, length)}~`, "of_today");
      assertVerdict(`${MARKER.slice(0, length)}~${MARKER.slice(length)}`, "of_today");
    }
    for (const text of ["\0", `\0${MARKER}`, "PING\0", `PING\0${MARKER}`, "{}", " "]) {
      assertVerdict(text, "of_today");
    }
  });
});
