import { assert, assertEquals } from "@std/assert";
import { describe, it } from "node:test";
import { ClientDecoder } from "../../../protocol/client_decoder.ts";
import { ProtocolError } from "../../../protocol/errors.ts";
import { decodeCut, everyByte, latin1, Recorder } from "../client_stream.ts";

const LIMIT = 100;
const limits = { maxFrameBytes: LIMIT };

/** Some ways to cut a stream: not at all, byte by byte, before the last byte, and elsewhere. */
function waysToCut(stream: Uint8Array): number[][] {
  const { length } = stream;
  return [[], everyByte(stream), [length - 1], [1], [length >> 1, length - 2], [7, 8, 9]];
}

/** Checks that all of `text` is fine, but not with the byte `excess` behind it. */
function assertLimitAfter(text: string, excess: string, heard: number): void {
  const stream = latin1(text + excess);
  for (const cuts of waysToCut(stream)) {
    const outcome = decodeCut(stream, cuts, limits);
    assertEquals(outcome.error, "frame_too_large", JSON.stringify(text + excess));
    assertEquals(outcome.heard.length, heard);
  }
  const fine = latin1(text);
  for (const cuts of waysToCut(fine)) {
    assertEquals(decodeCut(fine, cuts, limits).error, undefined, JSON.stringify(text));
  }
}

/** JSON text of an object with `members`, padded in a string to `length` bytes. */
function padded(members: string, length: number): string {
  const empty = `{${members},"pad":""}`;
  return `${empty.slice(0, -2)}${"x".repeat(length - empty.length)}"}`;
}

function assertHeardEachWay(text: string, count: number): void {
  const stream = latin1(text);
  for (const cuts of waysToCut(stream)) {
    const { heard, error } = decodeCut(stream, cuts, limits);
    assertEquals([heard.length, error], [count, undefined], JSON.stringify(text));
  }
}

describe("ClientDecoder: frame_too_large", () => {
  it("takes an action as long as the limit, its terminator not counted", () => {
    assertHeardEachWay(`${padded('"action":"subscribe","data":"a"', LIMIT)}\0`, 1);
  });

  it("refuses a frame as soon as the excess byte comes, its terminator or not", () => {
    for (const before of ["", "PING\0", "\0\0", '{"action":"subscribe","data":"a"}\0']) {
      const heard = before.startsWith("{") ? 1 : 0;
      assertLimitAfter(before + padded('"action":"subscribe","data":"a"', LIMIT), " ", heard);
      assertLimitAfter(before + "x".repeat(LIMIT), "x", heard);
      assertLimitAfter(before + "{".repeat(LIMIT), "{", heard);
    }
  });

  it("takes a MESSAGE as long as the limit", () => {
    const message = padded('"topic":"a"', LIMIT);
    assertHeardEachWay(`PUBLISH\0${message}`, 1);
    assertHeardEachWay(`PUBLISH\0${message}\0PUBLISH\0${message}\0`, 2);
  });

  it("refuses a MESSAGE as soon as the excess byte comes", () => {
    const opened = padded('"topic":"a"', LIMIT + 1).slice(0, LIMIT);
    assertLimitAfter(`PUBLISH\0${opened}`, "}", 0);
    assertLimitAfter(`PUBLISH\0 \n${opened}`, "}", 0);
    assertLimitAfter(`PUBLISH\0{"topic":"a"}\0PUBLISH\0\0${opened}`, "}", 1);
    assertLimitAfter(`PUBLISH\0${opened}`, "\0", 0);
  });

  it("counts MESSAGE's object, not what stands around it", () => {
    const message = padded('"topic":"a"', LIMIT);
    const between = "\0<regular-socket/>\0".repeat(LIMIT);
    const space = " \t\r\n".repeat(LIMIT / 4);
    assertHeardEachWay(`PUBLISH\0${between}${space}${message}${space}\0PING\0`, 1);
  });

  it("bounds each run of white space around MESSAGE", () => {
    const space = " ".repeat(LIMIT);
    assertLimitAfter(`PUBLISH\0${space}`, " ", 0);
    assertLimitAfter(`PUBLISH\0<regular-socket/>\0${space}`, "\n", 0);
    assertLimitAfter(`PUBLISH\0{"topic":"a"}${space}`, " ", 1);
    assertLimitAfter(`PUBLISH\0${space}{"topic":"a"}${space}`, "\t", 1);
    assertHeardEachWay(`PUBLISH\0${space}{"topic":"a"}${space}\0`.repeat(3), 3);
  });

  it("doesn't add up frames", () => {
    const frame = padded('"action":"unsubscribe","data":"a"', LIMIT - 1);
    assertHeardEachWay(`${frame}\0`.repeat(20), 20);
    assertHeardEachWay("<regular-socket/>\0\0PING\0".repeat(20), 0);
  });

  it("holds for the limit that is set, 64 KiB for one", () => {
    for (const maxFrameBytes of [64, 1000, 64 * 1024]) {
      const message = padded('"topic":"a"', maxFrameBytes);
      const publish = latin1(`PUBLISH\0${message}`);
      const longer = latin1(`PUBLISH\0${padded('"topic":"a"', maxFrameBytes + 1)}`);
      for (const cuts of [[], [20], [9, publish.length - 1]]) {
        assertEquals(decodeCut(publish, cuts, { maxFrameBytes }).heard.length, 1);
        assertEquals(decodeCut(longer, cuts, { maxFrameBytes }).error, "frame_too_large");
      }
    }
  });

  it("refuses endless input before it holds more than the limit", () => {
    for (
      const start of ["", 'PUBLISH\0{"topic":"a","x":"', "PUBLISH\0 ", 'PUBLISH\0{"topic":"a"} ']
    ) {
      const decoder = new ClientDecoder({ maxFrameBytes: 1000 });
      const endless = latin1((start.endsWith(" ") ? " " : "x").repeat(7));
      let error: unknown;
      decoder.push(latin1(start), new Recorder());
      for (let sent = 0; sent < 2000 && error === undefined; sent += endless.length) {
        try {
          decoder.push(endless, new Recorder());
        } catch (thrown) {
          error = thrown;
        }
        assert(decoder.heldBytes <= 1024);
      }
      assert(error instanceof ProtocolError);
      assertEquals(error.code, "frame_too_large");
      assert(error.message.endsWith("longer than 1000 bytes"), error.message);
    }
  });
});
