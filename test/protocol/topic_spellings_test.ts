import { assertEquals } from "@std/assert";
import { describe, it } from "node:test";
import { TopicSpellings } from "../../protocol/topic_spellings.ts";

const utf8 = new TextEncoder();

/** Looks a spelling up as a decoder does, and remembers its topic if it isn't known. */
function read(spellings: TopicSpellings, spelling: string, topic: string): string | undefined {
  const bytes = utf8.encode(`..${spelling}..`);
  const end = bytes.length - 2;
  const known = spellings.find(bytes, 2, end);
  if (known === undefined) spellings.remember(bytes, 2, end, topic);
  return known;
}

describe("TopicSpellings", () => {
  it("knows a topic by the bytes that spelled it, and by no others", () => {
    const spellings = new TopicSpellings();
    assertEquals(read(spellings, '"a"', "a"), undefined);
    assertEquals(read(spellings, '"a"', "wrong"), "a");
    assertEquals(read(spellings, '"\\u0061"', "a"), undefined);
    assertEquals(read(spellings, '"\\u0061"', "wrong"), "a");
    assertEquals(read(spellings, '"b"', "b"), undefined);
    assertEquals(read(spellings, '"ab"', "ab"), undefined);
  });

  it("never mistakes one of very many for another, and knows most of those that are used again", () => {
    const spellings = new TopicSpellings();
    const count = 20_000;
    let known = 0;
    for (let round = 0; round < 5; round++) {
      known = 0;
      for (let i = 0; i < count; i++) {
        const found = read(spellings, `"topic${i}"`, `topic${i}`);
        if (found !== undefined) {
          assertEquals(found, `topic${i}`);
          known++;
        }
      }
    }
    assertEquals(known > count / 2, true, `${known} of ${count}`);
  });

  it("doesn't remember what is long", () => {
    const spellings = new TopicSpellings();
    const topic = "x".repeat(200);
    assertEquals(read(spellings, `"${topic}"`, topic), undefined);
    assertEquals(read(spellings, `"${topic}"`, topic), undefined);
  });
});
