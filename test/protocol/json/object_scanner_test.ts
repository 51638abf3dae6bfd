import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { describe, it } from "node:test";
import { BufferPool } from "../../../protocol/framing/buffer_pool.ts";
import {
  INCOMPLETE,
  MALFORMED,
  memberName,
  ObjectScanner,
} from "../../../protocol/json/object_scanner.ts";
import { latin1 } from "../client_stream.ts";
import { editedBytes, objectText } from "./arbitraries.ts";
import { parseObject } from "../naive_model.ts";

const NAMES = ["topic", "timestamp"];
const utf8 = new TextEncoder();

function newScanner(): ObjectScanner {
  return new ObjectScanner(NAMES.map(memberName));
}

/** A new scanner's result for `bytes` cut at `cuts`, and the place of a malformed byte. */
function scan(bytes: Uint8Array, cuts: readonly number[] = []): { end: number; at: number } {
  const scanner = newScanner();
  let from = 0;
  for (const to of [...cuts, bytes.length]) {
    const end = scanner.scan(bytes, from, to);
    if (end === MALFORMED) {
      const [, at] = /at byte (\d+),/.exec(scanner.problem(bytes, 0))!;
      return { end, at: Number(at) };
    }
    if (end !== INCOMPLETE) return { end, at: -1 };
    from = to;
  }
  return { end: INCOMPLETE, at: -1 };
}

/** As {@linkcode scan}, and checks that it is the same byte by byte. */
function scanEachWay(bytes: Uint8Array): { end: number; at: number } {
  const whole = scan(bytes);
  assertEquals(scan(bytes, [...bytes.keys()]), whole);
  return whole;
}

/** The scanner's findings in a complete object, as JSON.parse would have them. */
function findings(bytes: Uint8Array): Record<string, unknown> {
  const scanner = newScanner();
  assertEquals(scanner.scan(bytes, 0, bytes.length), bytes.length);
  const found: Record<string, unknown> = {};
  NAMES.forEach((name, index) => {
    const { isPresent, isString, start, end } = scanner.member(index);
    if (!isPresent) return;
    found[name] = JSON.parse(new TextDecoder().decode(bytes.subarray(start, end)));
    assertEquals(isString, typeof found[name] === "string");
    assert(!/\s/.test(String.fromCharCode(bytes[start]!, bytes[end - 1]!)), "span has white space");
  });
  return found;
}

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
      { numRuns: 500 },
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
      { numRuns: 400 },
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

  it("finds members at the top level only", () => {
    assertEquals(findings(latin1('{"a":{"topic":1},"b":[{"timestamp":2}],"c":"topic"}')), {});
    assertEquals(findings(latin1('{"topic":{"topic":1,"timestamp":[2]}}')), {
      topic: { topic: 1, timestamp: [2] },
    });
  });

  it("tells a name by what it decodes to", () => {
    for (const spelled of ["\\u0074opic", "t\\u006Fpic", "\\u0074\\u006f\\u0070\\u0069\\u0063"]) {
      assertEquals(findings(latin1(`{"${spelled}":1}`)), { topic: 1 });
    }
    for (
      const other of ["Topic", "topi", "topics", " topic", "\\\\topic", "top\\/ic", "topic\\u0000"]
    ) {
      assertEquals(findings(latin1(`{"${other}":1}`)), {});
    }
    // An escape in one name says nothing of the next.
    assertEquals(findings(latin1('{"\\u0061":1,"topic":2,"\\u0062":3}')), { topic: 2 });
  });

  it("agrees with JSON.parse on names of random escapes, and parses none", () => {
    const NAME = 'a/"\\\n\t\r\f\b~z';
    const unit = fc.constantFrom(...NAME, "\0", "é", "\uffff", "u");
    const spelled = fc.tuple(unit, fc.constantFrom("plain", "short", "lower", "upper")).map(
      ([character, how]) => {
        const short = JSON.stringify(character).slice(1, -1);
        if (how === "short") return character === "/" ? "\\/" : short;
        if (how === "plain") return short;
        const digits = character.charCodeAt(0).toString(16).padStart(4, "0");
        return `\\u${how === "lower" ? digits : digits.toUpperCase()}`;
      },
    );
    const edited = fc.array(fc.oneof(spelled, fc.constant(undefined)), {
      minLength: NAME.length - 1,
      maxLength: NAME.length + 1,
    });
    const parse = JSON.parse;
    let parsed = 0;
    JSON.parse = (text: string) => (parsed++, parse(text));
    try {
      fc.assert(
        fc.property(edited, fc.array(spelled), (units, others) => {
          // Where nothing random stands, the wanted name's character does: most come close to it.
          const name = units.map((unit, i) =>
            unit ?? (NAME[i] === undefined ? "" : JSON.stringify(NAME[i]).slice(1, -1))
          ).join("");
          const text = `{"${others.join("")}":0,"${name}":1}`;
          const scanner = new ObjectScanner([memberName(NAME)]);
          const bytes = utf8.encode(text);
          assertEquals(scanner.scan(bytes, 0, bytes.length), bytes.length);
          const isWanted = Object.hasOwn(parse(text), NAME);
          assertEquals(scanner.member(0).isPresent, isWanted, text);
        }),
        { numRuns: 2000 },
      );
    } finally {
      JSON.parse = parse;
    }
    assertEquals(parsed, 0);
  });

  it("lets the last of repeated members count", () => {
    assertEquals(findings(latin1('{"topic":"a","topic":[1]}')), { topic: [1] });
    assertEquals(findings(latin1('{"topic":[1],"\\u0074opic" : "b" }')), { topic: "b" });
  });

  it("knows where each kind of value ends, white space not included", () => {
    for (const value of ['"a"', '""', "0", "-1.5e+3", "true", "null", "[]", "[1, 2]", '{"a":{}}']) {
      for (const [before, after] of [["", ""], [" ", "\n"], ["\t\r", " "]]) {
        const text = `{"topic":${before}${value}${after},"z":1}`;
        const scanner = newScanner();
        scanner.scan(latin1(text), 0, text.length);
        const { start, end } = scanner.member(0);
        assertEquals(text.slice(start, end), value);
      }
    }
  });

  it("counts offsets from the object's beginning, wherever that is", () => {
    const bytes = latin1('PUBLISH\0{"a":1,"topic":"x"}');
    const scanner = newScanner();
    assertEquals(scanner.scan(bytes, 8, 18), INCOMPLETE);
    const moved = bytes.slice(8);
    assertEquals(scanner.scan(moved, 10, moved.length), moved.length);
    assertEquals(scanner.member(0).start, 15);
    assertEquals(scanner.member(0).end, 18);
  });

  it("begins anew, whatever it was in", () => {
    const scanner = newScanner();
    for (
      const text of ['{"topic":"', '{"topic":1,"timestamp":2}', `{"topic":${"[".repeat(99)}`, "x"]
    ) {
      scanner.scan(latin1(text), 0, text.length);
      scanner.begin();
      assertEquals(scanner.heldBytes, 0);
      assertEquals(scanner.scan(latin1('{"other":1}'), 0, 11), 11);
      assertEquals(scanner.member(0).isPresent, false);
      assertEquals(scanner.member(1).isPresent, false);
      scanner.begin();
    }
  });

  it("has no members but those it was made for", () => {
    assertThrows(() => newScanner().member(2), RangeError, "No name at 2");
  });
});
