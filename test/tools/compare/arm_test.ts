import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { describe, it } from "node:test";
import { DEFAULT_ARMS, parseArms } from "../../../tools/compare/arm.ts";
import { UsageError } from "../../../cli/command_line.ts";

function refusal(...targets: string[]): string {
  return assertThrows(() => parseArms(targets), UsageError).message;
}

describe("what is compared", () => {
  it("is this checkout's server on both runtimes unless something else is asked for", () => {
    assertEquals(parseArms([]), DEFAULT_ARMS);
    assertEquals(DEFAULT_ARMS.map(({ runtime }) => runtime), ["deno", "bun"]);
  });

  it("may be servers that run already, whatever they speak, and servers to be started", () => {
    const arms = parseArms([
      ...["old=10.0.0.7:8082", "six=[::1]:8083", "plain=example.org", "here=janus://x:9"],
      ...["nats=nats://localhost", "redis=redis://localhost:6380"],
    ]);
    assertEquals(arms.map((arm) => arm.runtime === null && [arm.dialect, arm.host, arm.port]), [
      ["janus", "10.0.0.7", 8082],
      ["janus", "::1", 8083],
      ["janus", "example.org", 8081],
      ["janus", "x", 9],
      ["nats", "localhost", 4222],
      ["redis", "localhost", 6380],
    ]);
    assertEquals(parseArms(["one=bun", "two=bun"]), [
      { name: "one", dialect: "janus", runtime: "bun" },
      { name: "two", dialect: "janus", runtime: "bun" },
    ]);
  });

  it("has a name that is its own, and that a file may have", () => {
    assertStringIncludes(refusal("a=x:1", "A=x:2"), '"A"');
    for (const target of ["x:1", "=x:1", "a/b=x:1", "a=", "..=x:1", `${"n".repeat(41)}=x:1`]) {
      assertStringIncludes(refusal(target, "b=x:1"), "--target is NAME=SERVER");
    }
  });

  it("is two or more, and no more than there are colours for", () => {
    assertStringIncludes(refusal("a=x:1"), "it takes two");
    assertStringIncludes(refusal(..."abcdefg".split("").map((name) => `${name}=x:1`)), "7 targets");
  });

  it("is somewhere", () => {
    assertStringIncludes(refusal("a=http://x:1", "b=x:1"), '"http://x:1"');
    assertStringIncludes(refusal("a=x:99999", "b=x:1"), '"x:99999"');
  });
});
