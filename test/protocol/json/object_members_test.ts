import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { describe, it } from "node:test";
import { INCOMPLETE, memberName, ObjectScanner } from "../../../protocol/json/object_scanner.ts";
import { latin1 } from "../client_stream.ts";
import { findings, newScanner, utf8 } from "./scanner_bed.ts";

describe("the members that ObjectScanner finds", () => {
  it("finds members at the top level only", () => {
    assertEquals(findings(latin1('{"a":{"topic":1},"b":[{"timestamp":2}],"c":"topic"}')), {});
    assertEquals(findings(latin1('{"topic":{"topic":1,"timestamp":[2]}}')), {
      topic: { topic: 1, timestamp: [2] },
    });
  });

  it("goes on behind a member if the next object begins as the last did, and keeps what stood before it", () => {
    const scanner = new ObjectScanner(["a", "b", "c"].map(memberName));
    const scan = (text: string, from = 0) => scanner.scan(latin1(text), from, text.length);
    const present = () => [0, 1, 2].filter((index) => scanner.member(index).isPresent);
    assertEquals(scan('{"a":1,"b":"x","c":[]}'), 22);
    scanner.beginBehind(1);
    assertEquals(scan('{"a":1,"b":"x"}', 14), 15);
    assertEquals(present(), [0, 1]);
    scanner.beginBehind(1);
    assertEquals(scan('{"a":1,"b":"x","c":2,"b":"yy"}', 14), 30);
    assertEquals([present(), scanner.member(1).start], [[0, 1, 2], 25]);
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
        { numRuns: 1000 },
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
