import { assertEquals } from "@std/assert";
import { describe, it } from "node:test";
import { DEFAULT_LIMITS, everyByte, isLegacyCut } from "../client_stream.ts";
import { EVENT } from "../client_text.ts";

const MARKER = "<regular-socket/>\0";
const SUBSCRIBE = '{"action":"subscribe","data":"a"}\0';
const UNSUBSCRIBE = '{"action":"unsubscribe","data":"a"}\0';

/** Checks whether who sends a stream is of 2009, however it's cut, and also where it's refused. */
function assertLegacy(text: string, expected: boolean): void {
  const stream = new TextEncoder().encode(text);
  const cuts = stream.length > 1_000 ? [[], [1], [20]] : [[], everyByte(stream)].concat(
    everyByte(stream).map((cut) => [cut]),
  );
  for (const cut of cuts) assertEquals(isLegacyCut(stream, cut), expected, `${text} at ${cut}`);
}

describe("ClientDecoder: who is of 2009", () => {
  it("who began with the marker, and says what was said then", () => {
    for (
      const more of [
        "",
        MARKER,
        "PING\0",
        SUBSCRIBE,
        `${MARKER}${SUBSCRIBE}${MARKER}PING\0${MARKER}${UNSUBSCRIBE}`,
        "\0",
        "PUBLISH\0",
        `PUBLISH\0${EVENT.slice(0, -1)}`,
        `PUBLISH\0${EVENT}`,
        `${SUBSCRIBE}PUBLISH\0${EVENT} \n`,
        '{"action":"subscr',
      ]
    ) assertLegacy(MARKER + more, true);
  });

  it("who has sent the beginning of the marker, and nothing else", () => {
    assertLegacy("", false);
    for (let length = 1; length < MARKER.length; length++) {
      assertLegacy(MARKER.slice(0, length), true);
    }
  });

  it("not who began with something else, the marker behind it or not", () => {
    for (
      const text of [
        "\0",
        `\0${MARKER}`,
        `PING\0${MARKER}`,
        SUBSCRIBE,
        `PUBLISH\0${MARKER}`,
        `PUBLISH\0${MARKER}${EVENT}`,
        "<regular-socket>",
        "<regular-socket />\0",
        `<regular-socket/>x\0`,
        ` ${MARKER}`,
        `<regular-socket/>${"x".repeat(DEFAULT_LIMITS.maxFrameBytes)}`,
        "x".repeat(DEFAULT_LIMITS.maxFrameBytes + 1),
      ]
    ) assertLegacy(text, false);
  });

  it("not from the first new thing on, whatever follows", () => {
    for (
      const done of [
        "PONG\0",
        '{"action":"authenticate","data":"key"}\0',
        `{"action":"publish","data":${EVENT}}\0`,
        `PUBLISH\0${EVENT}\0`,
        `PUBLISH\0${EVENT} \n\0`,
      ]
    ) {
      assertLegacy(`${MARKER}${done.slice(0, -1)}`, true);
      assertLegacy(MARKER + done, false);
      assertLegacy(`${MARKER}${SUBSCRIBE}${MARKER}${done}${MARKER}${SUBSCRIBE}`, false);
      assertLegacy(`${MARKER}${done}${MARKER}nonsense\0`, false);
    }
  });

  it("who breaks the protocol before that, too", () => {
    for (
      const wrong of [
        "nonsense\0",
        "PUBLISH\0[",
        "PUBLISH\0{}",
        `PUBLISH\0PONG\0`,
        `PUBLISH\0${EVENT}x`,
        '{"action":"subscribe","data":""}\0',
        '{"action":"authenticate"}\0',
        '{"action":"publish","data":{"topic":1}}\0',
        "x".repeat(DEFAULT_LIMITS.maxFrameBytes + 1),
      ]
    ) assertLegacy(MARKER + wrong, true);
  });
});
