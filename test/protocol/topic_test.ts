import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { describe, it } from "node:test";
import { MAX_TOPIC_BYTES, topicProblem } from "../../protocol/topic.ts";
import { anyText } from "../support/any_text.ts";

describe("topicProblem", () => {
  it("finds none in 1 to 256 bytes of any characters", () => {
    for (const topic of ["a", "\0", "\ufeff", "events", "ünï©ode", "😀", "a".repeat(256)]) {
      assertEquals(topicProblem(topic), undefined, topic);
    }
  });

  it("refuses an empty topic", () => {
    assertEquals(topicProblem(""), "is empty");
  });

  it("counts bytes of UTF-8, not characters", () => {
    const characters = [
      ["a", 1],
      ["\x7f", 1],
      ["\x80", 2],
      ["\u07ff", 2],
      ["\u0800", 3],
      ["€", 3],
      ["\uffff", 3],
      ["😀", 4],
    ] as const;
    for (const [character, bytes] of characters) {
      const fitting = Math.floor(256 / bytes);
      const filler = "a".repeat(256 - fitting * bytes);
      assertEquals(topicProblem(character.repeat(fitting) + filler), undefined);
      assertEquals(
        topicProblem(character.repeat(fitting) + filler + "a"),
        "is longer than 256 bytes",
      );
    }
  });

  it("refuses lone surrogates", () => {
    for (const topic of ["\ud800", "\udc00", "a\udfffb", "\udc00\ud800", "\ud83d\ud83d\ude00"]) {
      assertEquals(topicProblem(topic), "has a lone surrogate");
    }
  });

  it("agrees with an encoder on random text", () => {
    const around256 = anyText({ minLength: 50, maxLength: 270 });
    const anyUnits = fc.array(fc.oneof(fc.nat(0xffff), fc.integer({ min: 0xd800, max: 0xdfff })))
      .map((units) => String.fromCharCode(...units));
    fc.assert(fc.property(fc.oneof(around256, anyUnits), (topic) => {
      const length = new TextEncoder().encode(topic).length;
      const isValid = topic.isWellFormed() && length >= 1 && length <= MAX_TOPIC_BYTES;
      assertEquals(topicProblem(topic) === undefined, isValid);
    }));
  });
});
