/**
 * The cases of Autobahn's test suite for WebSocket servers, with its numbers. Its 9 measures speed, and 12
 * and 13 are of compression, which isn't offered.
 */

import { assertEquals } from "@std/assert";
import { describe, it } from "node:test";
import { join } from "../../support/bytes.ts";
import {
  BINARY,
  CLOSE,
  closePayload,
  CONTINUATION,
  frame,
  PING,
  PONG,
  TEXT,
} from "../../support/web_socket/frames.ts";
import { EchoBed } from "../../support/web_socket/echo_bed.ts";

/** What one case sends, and what must come of it. */
interface Case {
  readonly sends: readonly Uint8Array[];
  /** What is echoed; nothing unless given. */
  readonly echo?: Uint8Array | string;
  /** The payloads of pongs. */
  readonly pongs?: readonly (Uint8Array | string)[];
  /** The code with which the server closes; `null` for a close without a code. */
  readonly close?: number | null;
}

const PROTOCOL_ERROR = 1002;
const NOT_UTF8 = 1007;

const cases: Record<string, Case> = {};

function stars(count: number): Uint8Array {
  return new Uint8Array(count).fill(0x2a);
}

function hex(text: string): Uint8Array {
  return Uint8Array.from(text.match(/../g) ?? [], (byte) => parseInt(byte, 16));
}

const part = { isFinal: false } as const;

// 1: framing.
for (const [major, opcode] of [["1.1", TEXT], ["1.2", BINARY]] as const) {
  for (const [i, size] of [0, 125, 126, 127, 128, 65_535, 65_536, 65_536].entries()) {
    const payload = stars(size);
    cases[`${major}.${i + 1}`] = { sends: [frame(opcode, payload)], echo: payload };
  }
}

// 2: pings and pongs.
const ten = Array.from({ length: 10 }, (_, i) => `payload-${i}`);
Object.assign(cases, {
  "2.1": { sends: [frame(PING)], pongs: [""] },
  "2.2": { sends: [frame(PING, "Hello, world!")], pongs: ["Hello, world!"] },
  "2.3": { sends: [frame(PING, hex("00fffefdfcfb00ff"))], pongs: [hex("00fffefdfcfb00ff")] },
  "2.4": { sends: [frame(PING, stars(125))], pongs: [stars(125)] },
  "2.5": { sends: [frame(PING, stars(126))], close: PROTOCOL_ERROR },
  "2.6": { sends: [frame(PING, stars(125))], pongs: [stars(125)] },
  "2.7": { sends: [frame(PONG)] },
  "2.8": { sends: [frame(PONG, "unsolicited pong payload")] },
  "2.9": { sends: [frame(PONG, "unsolicited"), frame(PING, "ping")], pongs: ["ping"] },
  "2.10": { sends: ten.map((text) => frame(PING, text)), pongs: ten },
  "2.11": { sends: ten.map((text) => frame(PING, text)), pongs: ten },
});

// 3: reserved bits.
const reserved = (bits: number, opcode = TEXT) => frame(opcode, "Hello", { reserved: bits });
Object.assign(cases, {
  "3.1": { sends: [reserved(1)], close: PROTOCOL_ERROR },
  "3.2": { sends: [frame(TEXT, "*"), reserved(2)], echo: "*", close: PROTOCOL_ERROR },
  "3.3": { sends: [frame(TEXT, "*"), reserved(3)], echo: "*", close: PROTOCOL_ERROR },
  "3.4": { sends: [frame(TEXT, "*"), reserved(4)], echo: "*", close: PROTOCOL_ERROR },
  "3.5": { sends: [reserved(5, BINARY)], close: PROTOCOL_ERROR },
  "3.6": { sends: [reserved(6, PING)], close: PROTOCOL_ERROR },
  "3.7": { sends: [reserved(7, CLOSE)], close: PROTOCOL_ERROR },
});

// 4: reserved opcodes.
for (let i = 0; i < 5; i++) {
  const before = i >= 2 ? [frame(TEXT, "*")] : [];
  const echo = before.length > 0 ? { echo: "*" } : {};
  const payload = i % 2 === 1 ? "reserved opcode payload" : "";
  for (const [major, opcode] of [["4.1", 3 + i], ["4.2", 11 + i]] as const) {
    const sends = [...before, frame(opcode, payload), frame(PING)];
    cases[`${major}.${i + 1}`] = { sends, ...echo, close: PROTOCOL_ERROR };
  }
}

// 5: fragments.
const [one, two] = ["fragment1", "fragment2"];
const both = [frame(TEXT, one, part), frame(CONTINUATION, two)];
const pingBetween = [frame(TEXT, one, part), frame(PING, "ping"), frame(CONTINUATION, two)];
const wrongStart = [frame(CONTINUATION, "non-continuation payload"), frame(TEXT, "Hello")];
const wrongParts = [frame(CONTINUATION, one, part), ...both];
const four = ["fragment1", "fragment2", "fragment3", "fragment4", "fragment5"] as const;
const withPings = [
  frame(TEXT, four[0], part),
  frame(CONTINUATION, four[1], part),
  frame(PING, "pongme 1!"),
  frame(CONTINUATION, four[2], part),
  frame(CONTINUATION, four[3], part),
  frame(PING, "pongme 2!"),
  frame(CONTINUATION, four[4]),
];
const pinged = { sends: withPings, echo: four.join(""), pongs: ["pongme 1!", "pongme 2!"] };
Object.assign(cases, {
  "5.1": { sends: [frame(PING, one, part), frame(CONTINUATION, two)], close: PROTOCOL_ERROR },
  "5.2": { sends: [frame(PONG, one, part), frame(CONTINUATION, two)], close: PROTOCOL_ERROR },
  "5.3": { sends: both, echo: one + two },
  "5.4": { sends: both, echo: one + two },
  "5.5": { sends: both, echo: one + two },
  "5.6": { sends: pingBetween, echo: one + two, pongs: ["ping"] },
  "5.7": { sends: pingBetween, echo: one + two, pongs: ["ping"] },
  "5.8": { sends: pingBetween, echo: one + two, pongs: ["ping"] },
  "5.9": { sends: wrongStart, close: PROTOCOL_ERROR },
  "5.10": { sends: wrongStart, close: PROTOCOL_ERROR },
  "5.11": { sends: wrongStart, close: PROTOCOL_ERROR },
  "5.12": { sends: wrongParts, close: PROTOCOL_ERROR },
  "5.13": { sends: wrongParts, close: PROTOCOL_ERROR },
  "5.14": { sends: wrongParts, close: PROTOCOL_ERROR },
  "5.15": {
    sends: [...both, frame(CONTINUATION, "fragment3", part), frame(TEXT, "fragment4")],
    echo: one + two,
    close: PROTOCOL_ERROR,
  },
  "5.16": { sends: [frame(CONTINUATION, one, part), frame(TEXT, two)], close: PROTOCOL_ERROR },
  "5.17": { sends: [frame(CONTINUATION, one), frame(TEXT, two)], close: PROTOCOL_ERROR },
  "5.18": { sends: [frame(TEXT, one, part), frame(TEXT, two)], echo: one, close: PROTOCOL_ERROR },
  "5.19": pinged,
  "5.20": pinged,
});

// 6: UTF-8.
const kosme = "cebae1bdb9cf83cebcceb5";
const text = "Hello-µ@ßöäüàá-UTF-8!!";
const bytes = new TextEncoder().encode(text);
const bad = (start: string, rest: string) => [frame(TEXT, hex(start + rest))];
Object.assign(cases, {
  "6.1.1": { sends: [frame(TEXT)] },
  "6.1.2": { sends: [frame(TEXT, "", part), frame(CONTINUATION, "", part), frame(CONTINUATION)] },
  "6.1.3": {
    sends: [frame(TEXT, "", part), frame(CONTINUATION, "middle", part), frame(CONTINUATION)],
    echo: "middle",
  },
  "6.2.1": { sends: [frame(TEXT, text)], echo: text },
  "6.2.2": {
    sends: [frame(TEXT, bytes.subarray(0, 12), part), frame(CONTINUATION, bytes.subarray(12))],
    echo: text,
  },
  "6.2.3": {
    sends: Array.from(
      bytes,
      (byte, i) =>
        frame(i === 0 ? TEXT : CONTINUATION, new Uint8Array([byte]), {
          isFinal: i === bytes.length - 1,
        }),
    ),
    echo: text,
  },
  "6.2.4": {
    sends: Array.from(
      hex(kosme),
      (byte, i) =>
        frame(i === 0 ? TEXT : CONTINUATION, new Uint8Array([byte]), { isFinal: i === 10 }),
    ),
    echo: hex(kosme),
  },
  "6.3.1": { sends: bad(kosme, "eda080656469746564"), close: NOT_UTF8 },
  "6.3.2": {
    sends: Array.from(
      hex(kosme + "eda080656469746564"),
      (byte, i) => frame(i === 0 ? TEXT : CONTINUATION, new Uint8Array([byte]), part),
    ),
    close: NOT_UTF8,
  },
  "6.4.1": {
    sends: [frame(TEXT, hex(kosme), part), frame(CONTINUATION, hex("f4908080"), part)],
    close: NOT_UTF8,
  },
  "6.4.2": {
    sends: [frame(TEXT, hex(kosme + "f4"), part), frame(CONTINUATION, hex("90"), part)],
    close: NOT_UTF8,
  },
  "6.4.3": { sends: [frame(TEXT, hex(kosme + "f4908080"), part)], close: NOT_UTF8 },
  "6.4.4": { sends: [frame(TEXT, hex(kosme + "f490"), part)], close: NOT_UTF8 },
});

/** Texts of the sections from 6.5 on; a `!` stands before those that aren't UTF-8. */
const texts: Record<string, string> = {
  "6.5": "ceba cebae1bdb9 cebae1bdb9cf83 cebae1bdb9cf83cebc cebae1bdb9cf83cebcceb5",
  "6.6": "!ce ceba !cebae1 !cebae1bd cebae1bdb9 !cebae1bdb9cf cebae1bdb9cf83 !cebae1bdb9cf83ce " +
    "cebae1bdb9cf83cebc !cebae1bdb9cf83cebcce cebae1bdb9cf83cebcceb5",
  "6.7": "00 c280 e0a080 f0908080",
  "6.8": "!f888808080 !fc8480808080",
  "6.9": "7f dfbf efbfbf f48fbfbf",
  "6.10": "!f7bfbfbf !fbbfbfbfbf !fdbfbfbfbfbf",
  "6.11": "ed9fbf ee8080 efbfbd f48fbfbf !f4908080",
  "6.12": "!80 !bf !80bf !80bf80 !80bf80bf !80bf80bf80 !80bf80bf80bf !8081828384858687",
  "6.13": "!c020c120c220 !e020e120e220 !f020f120f220 !f820f920fa20 !fc20fd20",
  "6.14": "!c0 !e080 !f08080 !f8808080 !fc80808080 !df !efbf !f7bfbf !fbbfbfbf !fdbfbfbfbf",
  "6.15": "!c0e080f08080f8808080fc80808080dfefbff7bfbffbbfbfbffdbfbfbfbf",
  "6.16": "!fe !ff !fefeffff",
  "6.17": "!c0af !e080af !f08080af !f8808080af !fc80808080af",
  "6.18": "!c1bf !e09fbf !f08fbfbf !f887bfbfbf !fc83bfbfbfbf",
  "6.19": "!c080 !e08080 !f0808080 !f880808080 !fc8080808080",
  "6.20": "!eda080 !edadbf !edae80 !edafbf !edb080 !edbe80 !edbfbf",
  "6.21": "!eda080edb080 !eda080edbfbf !edadbfedb080 !edadbfedbfbf !edae80edb080 !edae80edbfbf " +
    "!edafbfedb080 !edafbfedbfbf",
  "6.22": "efbfbe efbfbf f09fbfbe f09fbfbf f0afbfbe f0afbfbf f0bfbfbe f0bfbfbf f18fbfbe f18fbfbf " +
    "f19fbfbe f19fbfbf f1afbfbe f1afbfbf f1bfbfbe f1bfbfbf f28fbfbe f28fbfbf f29fbfbe f29fbfbf " +
    "f2afbfbe f2afbfbf f2bfbfbe f2bfbfbf f38fbfbe f38fbfbf f39fbfbe f39fbfbf f3afbfbe f3afbfbf " +
    "f3bfbfbe f3bfbfbf f48fbfbe f48fbfbf",
};
for (const [major, spelled] of Object.entries(texts)) {
  for (const [i, one] of spelled.split(" ").entries()) {
    const isBad = one.startsWith("!");
    const payload = hex(one.replace("!", ""));
    cases[`${major}.${i + 1}`] = isBad
      ? { sends: [frame(TEXT, payload)], close: NOT_UTF8 }
      : { sends: [frame(TEXT, payload)], echo: payload };
  }
}

// 7: closes.
const closing = (code: number, reason?: Uint8Array | string) =>
  frame(CLOSE, closePayload(code, reason));
Object.assign(cases, {
  "7.1.1": { sends: [frame(TEXT, "Hello"), closing(1000)], echo: "Hello", close: 1000 },
  "7.1.2": { sends: [closing(1000), closing(1000)], close: 1000 },
  "7.1.3": { sends: [closing(1000), frame(PING)], close: 1000 },
  "7.1.4": { sends: [closing(1000), frame(TEXT, "Hello")], close: 1000 },
  "7.1.5": {
    sends: [frame(TEXT, one, part), closing(1000), frame(CONTINUATION, two)],
    echo: one,
    close: 1000,
  },
  "7.1.6": {
    sends: [frame(TEXT, stars(256 * 1024)), closing(1000), frame(PING)],
    echo: stars(256 * 1024),
    close: 1000,
  },
  "7.3.1": { sends: [frame(CLOSE)], close: null },
  "7.3.2": { sends: [frame(CLOSE, "a")], close: PROTOCOL_ERROR },
  "7.3.3": { sends: [closing(1000)], close: 1000 },
  "7.3.4": { sends: [closing(1000, "Hello World!")], close: 1000 },
  "7.3.5": { sends: [closing(1000, stars(123))], close: 1000 },
  "7.3.6": { sends: [closing(1000, stars(124))], close: PROTOCOL_ERROR },
  "7.5.1": { sends: [closing(1000, hex(kosme + "eda080656469746564"))], close: NOT_UTF8 },
});
const goodCodes = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999];
for (const [i, code] of goodCodes.entries()) {
  cases[`7.7.${i + 1}`] = { sends: [closing(code)], close: code };
}
const badCodes = [0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999, 5000, 65_535];
for (const [i, code] of badCodes.entries()) {
  cases[`7.9.${i + 1}`] = { sends: [closing(code)], close: PROTOCOL_ERROR };
}

// 10: a message that is sent in parts.
const parts = stars(65_536);
cases["10.1.1"] = {
  sends: Array.from(
    { length: 51 },
    (_, i) =>
      frame(i === 0 ? TEXT : CONTINUATION, parts.subarray(i * 1300, i * 1300 + 1300), {
        isFinal: i === 50,
      }),
  ),
  echo: parts,
};

describe("Autobahn's cases", () => {
  const ways: Record<string, (bytes: Uint8Array) => number> = {
    "at once": (bytes) => bytes.length,
    "in pieces of 997 bytes": () => 997,
    "byte by byte": (bytes) => bytes.length > 4_096 ? 1_021 : 1,
  };
  for (const [way, pieceBytes] of Object.entries(ways)) {
    it(`hold when all is sent ${way}`, async () => {
      for (const [number, { sends, echo = "", pongs = [], close }] of Object.entries(cases)) {
        const bed = await EchoBed.open();
        const bytes = join(sends);
        bed.send(bytes, pieceBytes(bytes));
        const expected = typeof echo === "string" ? new TextEncoder().encode(echo) : echo;
        const got = {
          // Of text that turns out to be wrong, any part may have been echoed before.
          echo: close === NOT_UTF8 ? expected : bed.echoed,
          pongs: bed.pongs,
          close: bed.closeCode,
        };
        const textPongs = pongs.map((pong) => typeof pong === "string" ? pong : asText(pong));
        assertEquals(
          { ...got, pongs: got.pongs.map(asText) },
          { echo: expected, pongs: textPongs, close },
          `case ${number}`,
        );
      }
    });
  }
});

function asText(bytes: Uint8Array): string {
  return new TextDecoder("latin1").decode(bytes);
}
