import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { describe, it } from "node:test";
import { inOneLine, memberText } from "../../commands/message_text.ts";

describe("a message as a line of text", () => {
  it("has a member's text as it is spelled, of repeated ones the last", () => {
    const data = (json: string) => memberText(json, "data");
    assertEquals(data('{"timestamp":[1,2,3],"topic":"t","data": 1.0 }'), "1.0");
    assertEquals(data('{"data":{"data":[1,{"a":"}"}]}, "x":"data"}'), '{"data":[1,{"a":"}"}]}');
    assertEquals(data('{"data":1,"d\\u0061ta":"\\"2,\\\\"}'), '"\\"2,\\\\"');
    assertEquals(data('{"a":"data","b":["data",1],"c":{"data":2}}'), undefined);
    assertEquals(data("{}"), undefined);
  });

  it("has each member that a parser finds, whatever the object", () => {
    const object = fc.dictionary(fc.string(), fc.jsonValue(), { noNullPrototype: true });
    fc.assert(fc.property(object, fc.nat(4), (value, indent) => {
      const json = JSON.stringify(value, null, indent);
      const parsed = JSON.parse(json) as Record<string, unknown>;
      for (const [name, member] of Object.entries(parsed)) {
        assertEquals(JSON.parse(memberText(json, name)!), member);
      }
      assertEquals(JSON.parse(inOneLine(json)), parsed);
      assertEquals(inOneLine(json).includes("\n"), false);
    }));
  });

  it("does nothing in a terminal, and means the same", () => {
    const json = '{\n\t"a":\r\n"\x7f\x9b\u202e\u2028é"}';
    assertEquals(inOneLine(json), '{  "a":  "\\u007f\\u009b\\u202e\\u2028é"}');
    assertEquals(JSON.parse(inOneLine(json)), JSON.parse(json));
  });
});
