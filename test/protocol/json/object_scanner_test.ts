import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { describe, it } from "node:test";
import { BufferPool } from "../../../protocol/framing/buffer_pool.ts";
import {
  INCOMPLETE,
  MALFORMED,
  memberName,
  ObjectScanner,
} from "../../../protocol/json/object_scanner.ts";
import { isOwnHalf } from "../../support/processes/tested_runtimes.ts";
import { latin1 } from "../client_stream.ts";
import { editedBytes, objectText } from "./arbitraries.ts";
import { parseObject } from "../naive_model.ts";
import { findings, NAMES, newScanner, scan, scanEachWay, utf8 } from "./scanner_bed.ts";

describe("ObjectScanner", () => {
  it("stops exactly behind the closing bracket", () => {
    for (const object of ['{"topic":"a"}', "{}", '{ "a" : [ { } , [ ] ] }', '{"}":"}"}']) {
      for (const rest of ["", "}", "\0", " ", '{"topic":"b"}', "\xff"]) {
        assertEquals(scanEachWay(latin1(object + rest)).end, object.length);
      }
    }
  });

  it("refuses at the first byte that can't belong to an object", () => {
    // The byte that mustn't be there stands behind the mark.
    const cases = [
      "^x",
      "^ {",
      "^[",
      '^"a"',
      "^\xef\xbb\xbf{",
      "{^,",
      "{^]",
      "{^'",
      "{^a",
      "{^1",
      "{^\0",
      "{^\x0b",
      "{^\xa0",
      '{"a"^}',
      '{"a"^,',
      '{"a"^"',
      '{"a":^}',
      '{"a":^,',
      '{"a":^:',
      '{"a":^]',
      '{"a":1,^}',
      '{"a":1,^,',
      '{"a":1,^1',
      '{"a":1^]',
      '{"a":1^"',
      '{"a":1 ^2',
      '{"a":"b"^"',
      '{"a":"b"^:',
      '{"a":{}^{',
      '{"a":{}^]',
      '{"a":[^,',
      '{"a":[^}',
      '{"a":[1,^]',
      '{"a":[1^:',
      '{"a":[1^}',
      '{"a":[[]^}',
      '{"a":[{}^}',
      '{"a":{"b":[]^]',
      '{"a":^+1',
      '{"a":^.5',
      '{"a":-^}',
      '{"a":-^-',
      '{"a":-^.',
      '{"a":0^1',
      '{"a":-0^0',
      '{"a":0^x',
      '{"a":1.^}',
      '{"a":1.^e',
      '{"a":1.5^.',
      '{"a":1e^}',
      '{"a":1e^.',
      '{"a":1e+^}',
      '{"a":1e+^-',
      '{"a":1e5^.',
      '{"a":1e5^e',
      '{"a":1e5^+',
      '{"a":0e0^-',
      '{"a":^T',
      '{"a":^N',
      '{"a":^I',
      '{"a":^u',
      '{"a":t^R',
      '{"a":tr^}',
      '{"a":tru^"',
      '{"a":true^e',
      '{"a":f^l',
      '{"a":fals^}',
      '{"a":n^a',
      '{"a":nul^}',
      '{"a":null^l',
      '{"a":"^\0',
      '{"a":"^\x01',
      '{"a":"^\n',
      '{"a":"^\x1f',
      '{"^\t',
      '{"a":"\\^0',
      '{"a":"\\^x',
      '{"a":"\\^U',
      '{"a":"\\^\'',
      '{"a":"\\^\n',
      '{"\\^a',
      '{"a":"\\u^g',
      '{"a":"\\u0^"',
      '{"a":"\\u00^G',
      '{"a":"\\u00f^/',
      '{"a":"\\u000^:',
      '{"a":"\\u000^@',
      '{"a":"\\u000^`',
      '{"a":"^\x80',
      '{"a":"^\xbf',
      '{"a":"^\xc0',
      '{"a":"^\xc1',
      '{"a":"^\xf5',
      '{"a":"^\xff',
      '{"a":"\xc2^"',
      '{"a":"\xdf^\xc0',
      '{"a":"\xe0^\x9f',
      '{"a":"\xe0\xa0^\x7f',
      '{"a":"\xe1\x80^"',
      '{"a":"\xed^\xa0',
      '{"a":"\xef\xbf^\xc0',
      '{"a":"\xf0^\x8f',
      '{"a":"\xf0\x90\x80^"',
      '{"a":"\xf3\xbf^\xc0',
      '{"a":"\xf4^\x90',
      '{"\xf4\x8f\xbf^}',
    ];
    for (const marked of cases) {
      const at = marked.indexOf("^");
      const text = marked.slice(0, at) + marked.slice(at + 1);
      for (const rest of ["", '"}', "}"]) {
        assertEquals(scanEachWay(latin1(text + rest)), { end: MALFORMED, at }, marked);
      }
      assertEquals(scan(latin1(text.slice(0, at))).end, INCOMPLETE, marked);
    }
  });

  it("says what is wrong, in printable ASCII", () => {
    const cases = [
      ["[", '"[" at byte 0, where an object should be'],
      ["{,", `"," at byte 1, where a member or the object's end should be`],
      ['{"a":"\x01"', '"\\x01" at byte 6, where a character that needs no escape should be'],
      ['{"a":"\\x', '"x" at byte 7, where an escape should be'],
      ['{"a":trve', '"v" at byte 7, where true should be'],
      ['{"a":\xff', '"\\xff" at byte 5, where a value should be'],
      ['{"a":[1}', `"}" at byte 7, where a comma or the array's end should be`],
    ] as const;
    for (const [text, problem] of cases) {
      const bytes = latin1("before" + text);
      const scanner = newScanner();
      assertEquals(scanner.scan(bytes, 6, bytes.length), MALFORMED);
      assertEquals(scanner.problem(bytes, 6).startsWith(problem), true, scanner.problem(bytes, 6));
    }
  });

  it("agrees with JSON.parse on every byte in every place between the tokens", () => {
    const text = '{"a":[1,true,{},[]],"b":"c"}';
    for (let place = 1; place < text.length; place++) {
      for (let byte = 0; byte < 256; byte++) {
        const bytes = latin1(text.slice(0, place) + String.fromCharCode(byte) + text.slice(place));
        const isValid = parseObject(bytes) !== undefined;
        assertEquals(scan(bytes).end === bytes.length, isValid, `${byte} at ${place}`);
      }
    }
  });

  it("agrees with a strict decoder on every pair of bytes in a string", () => {
    for (let first = 0; first < 256; first++) {
      if (!isOwnHalf(first)) continue;
      for (let second = 0; second < 256; second++) {
        const bytes = latin1('{"a":"__"}');
        bytes[6] = first;
        bytes[7] = second;
        const isValid = parseObject(bytes) !== undefined;
        const { end } = scan(bytes);
        assertEquals(end === bytes.length, isValid, `${first} ${second}`);
      }
    }
  });

  it("agrees with a strict decoder on the edges of three- and four-byte characters", () => {
    const edges = [0x00, 0x22, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xff];
    for (let lead = 0xe0; lead < 256; lead++) {
      if (!isOwnHalf(lead)) continue;
      for (const second of edges) {
        for (const third of edges) {
          for (const rest of ['"}', ...edges.map((fourth) => String.fromCharCode(fourth) + '"}')]) {
            const bytes = latin1('{"a":"' + String.fromCharCode(lead, second, third) + rest);
            const isValid = parseObject(bytes) !== undefined;
            assertEquals(scan(bytes).end === bytes.length, isValid, bytes.join(" "));
          }
        }
      }
    }
  });

  it("agrees with JSON.parse on random objects, and on where the wanted members are", () => {
    fc.assert(
      fc.property(objectText, (text) => {
        const bytes = utf8.encode(text);
        assertEquals(scanEachWay(bytes), { end: bytes.length, at: -1 });
        const parsed = parseObject(bytes)!;
        const wanted = NAMES.filter((name) => Object.hasOwn(parsed, name));
        assertEquals(
          findings(bytes),
          Object.fromEntries(wanted.map((name) => [name, parsed[name]])),
        );
      }),
      { numRuns: 250 },
    );
  });

  it("agrees with JSON.parse on random objects with bytes changed, added and removed", () => {
    fc.assert(
      fc.property(editedBytes(objectText.map((text) => utf8.encode(text))), (bytes) => {
        const { end } = scanEachWay(bytes);
        if (bytes[0] !== 0x7b) {
          assertEquals(end, bytes.length === 0 ? INCOMPLETE : MALFORMED);
          return;
        }
        for (let length = 1; length < (end < 0 ? bytes.length + 1 : end); length++) {
          assertEquals(parseObject(bytes.subarray(0, length)), undefined);
        }
        if (end >= 0) assert(parseObject(bytes.subarray(0, end)) !== undefined);
      }),
      { numRuns: 200 },
    );
  });

  it("wants more after every proper prefix of an object", () => {
    fc.assert(fc.property(objectText, (text) => {
      const bytes = utf8.encode(text);
      for (let length = 0; length < bytes.length; length++) {
        assertEquals(scan(bytes.subarray(0, length)).end, INCOMPLETE);
      }
    }));
  });

  it("nests as deep as there are bytes, in any mixture, without recursion", () => {
    for (const depth of [31, 32, 33, 63, 64, 65, 32_000]) {
      let opening = "";
      let closing = "";
      for (let level = 0; level < depth; level++) {
        const isObject = level % 3 === 1 || level % 7 === 2;
        opening += isObject ? '{"a":' : "[";
        closing = (isObject ? "}" : "]") + closing;
      }
      const text = `{"topic":${opening}0${closing}}`;
      const bytes = latin1(text);
      assertEquals(scanEachWay(bytes).end, bytes.length);
      const wrong = closing[depth >> 1] === "]" ? "}" : "]";
      const at = `{"topic":${opening}0`.length + (depth >> 1);
      bytes[at] = wrong.charCodeAt(0);
      assertEquals(scan(bytes), { end: MALFORMED, at });
    }
  });

  it("holds memory for deep nesting only while it is inside", () => {
    const scanner = newScanner();
    const text = latin1(`{"a":${"[".repeat(1000)}${"]".repeat(1000)}}`);
    scanner.scan(text, 0, 36);
    assertEquals(scanner.heldBytes, 0);
    scanner.scan(text, 36, 1005);
    assertEquals(scanner.heldBytes, 256);
    assertEquals(scanner.scan(text, 1005, text.length), text.length);
    assertEquals(scanner.heldBytes, 0);
  });

  it("holds a bit a level, in buffers that it gives back", () => {
    const pool = new BufferPool(1024 * 1024);
    const scanner = new ObjectScanner(NAMES.map(memberName), pool);
    const text = latin1(`{"a":${"[".repeat(65_000)}`);
    assertEquals(scanner.scan(text, 0, text.length), INCOMPLETE);
    assertEquals([scanner.heldBytes, pool.lentBytes], [8192, 8192]);
    scanner.release();
    assertEquals([scanner.heldBytes, pool.lentBytes], [0, 0]);
  });
});
