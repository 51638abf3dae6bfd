import { assertEquals } from "@std/assert";
import { describe, it } from "node:test";
import { wrapped } from "../../cli/plain_text.ts";

describe("lines for people", () => {
  it("are broken at blanks, at 80 columns at the latest", () => {
    const text = Array.from({ length: 60 }, (_, at) => "x".repeat(1 + at % 9)).join(" ");
    const lines = wrapped(text, "", "  ");
    assertEquals(lines.map((line) => line.trim()).join(" "), text);
    assertEquals(lines.filter((line) => line.length > 80), []);
    assertEquals(lines.map((line) => line.startsWith("  ")), lines.map((_, at) => at > 0));
    // No line that the next word would have fitted into.
    for (const [at, line] of lines.slice(0, -1).entries()) {
      const next = lines[at + 1]!.trim().split(" ")[0]!;
      assertEquals(line.length + 1 + next.length > 80, true, line);
    }
    assertEquals(wrapped("x".repeat(79) + " y"), ["x".repeat(79), "y"]);
    assertEquals(wrapped("x".repeat(78) + " y"), ["x".repeat(78) + " y"]);
  });

  it("keep a word whole that is wider", () => {
    assertEquals(wrapped(`a ${"b".repeat(90)} c`, "  "), ["  a", `  ${"b".repeat(90)}`, "  c"]);
    assertEquals(wrapped("b".repeat(90)), ["b".repeat(90)]);
  });

  it("keep a command in backticks together", () => {
    const fill = "x".repeat(70);
    assertEquals(wrapped(`${fill} or \`a b c d e f\` and`), [`${fill} or`, "`a b c d e f` and"]);
  });

  it("keep a number and its unit together", () => {
    const fill = "x".repeat(76);
    for (const value of ["123 ms", "123 s", "123 %", "123 ms,"]) {
      assertEquals(wrapped(`${fill} ${value} later`), [fill, `${value} later`]);
    }
    assertEquals(wrapped(`${fill} 123 so`), [`${fill} 123`, "so"]);
  });
});
