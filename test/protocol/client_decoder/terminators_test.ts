import { assertEquals } from "@std/assert";
import { describe, it } from "node:test";
import { ClientDecoder } from "../../../protocol/client_decoder.ts";
import { isOwnHalf } from "../../support/processes/tested_runtimes.ts";
import { decodeCut, DEFAULT_LIMITS, Recorder } from "../client_stream.ts";

const utf8 = new TextEncoder();
const EVENT = '{"topic":"events","event":"test_event","message_id":"","data":"test"}';
const STRICT = { ...DEFAULT_LIMITS, demandsTerminator: true };

function strictly(text: string) {
  const recorder = new Recorder();
  const decoder = new ClientDecoder(STRICT);
  decoder.push(utf8.encode(text), recorder);
  return { decoder, recorder };
}

describe("ClientDecoder, where MESSAGE must be terminated", () => {
  it("hears the same as elsewhere, cut at every pair of places", () => {
    const streams = [
      `PUBLISH\0${EVENT}\0PUBLISH\0${EVENT} \n\0PING\0`,
      `PUBLISH\0 ${EVENT}\0{"action":"subscribe","data":"events"}\0`,
      `PUBLISH\0{"topic":"a"}\0PUBLISH\0{"topic":"b"}\0`,
      `<regular-socket/>\0PUBLISH\0${EVENT}\0PONG\0`,
      `PUBLISH\0${EVENT}PING\0`,
    ].map((text) => utf8.encode(text));
    for (const stream of streams) {
      // What isn't terminated isn't heard; the last stream's fault comes before that.
      const { error, heard } = decodeCut(stream);
      const isTerminated = error === undefined;
      for (let first = 0; first <= stream.length; first++) {
        if (!isOwnHalf(first)) continue;
        for (let second = first; second <= stream.length; second += 3) {
          const cut = decodeCut(stream, [first, second], STRICT);
          assertEquals(cut.error, error);
          assertEquals(cut.heard, isTerminated ? heard : []);
        }
      }
    }
  });

  it("publishes nothing before the terminator, and says that it lacks", () => {
    for (const text of [`PUBLISH\0${EVENT}`, `PUBLISH\0${EVENT} `, `PUBLISH\0 ${EVENT}\n`]) {
      const { decoder, recorder } = strictly(text);
      assertEquals(recorder.heard.filter(([what]) => what === "publish"), []);
      assertEquals([decoder.lacksTerminator, decoder.awaitsTerminator], [true, false]);
      decoder.push(utf8.encode("\0"), recorder);
      assertEquals([decoder.lacksTerminator, decoder.heldBytes], [false, 0]);
      assertEquals(recorder.heard.filter(([what]) => what === "publish").length, 1);
    }
    assertEquals(strictly(`PUBLISH\0{"topic":`).decoder.lacksTerminator, false);
    assertEquals(strictly(`PUBLISH\0${EVENT}\0`).decoder.lacksTerminator, false);
  });

  it("frees what it held for one that never comes", () => {
    const { decoder } = strictly(`PUBLISH\0${EVENT}`);
    decoder.discard();
    assertEquals(decoder.heldBytes, 0);
  });
});
