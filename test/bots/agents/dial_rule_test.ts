import { assertEquals, assertThrows } from "@std/assert";
import { describe, it } from "node:test";
import { parseDialRule } from "../../../bots/agents/dial_rule.ts";
import { UsageError } from "../../../cli/command_line.ts";

function allowed(rule: string | undefined, addresses: readonly string[]): string[] {
  return addresses.filter((address) => parseDialRule(rule).allows(address));
}

describe("the addresses that an agent's bots may dial", () => {
  it("are loopback and private ones unless others are named", () => {
    const inside = ["127.0.0.1", "127.9.9.9", "::1", "10.0.0.7", "172.16.0.1", "172.31.255.255"];
    const more = ["192.168.1.1", "fd00::7", "fcff::1"];
    assertEquals(allowed(undefined, [...inside, ...more]), [...inside, ...more]);
    assertEquals(allowed(undefined, ["::ffff:10.0.0.7"]), ["::ffff:10.0.0.7"]);
    // Among them the address at which a cloud tells an instance its secrets.
    const outside = ["169.254.169.254", "8.8.8.8", "172.32.0.1", "11.0.0.1", "2001:db8::1"];
    assertEquals(allowed(undefined, [...outside, "fe80::1", "::ffff:8.8.8.8", "localhost"]), []);
  });

  it("are those that are named, and no others", () => {
    const rule = "192.0.2.0/24,198.51.100.7,2001:db8::/32";
    const inside = ["192.0.2.1", "198.51.100.7", "2001:db8:1::2"];
    assertEquals(allowed(rule, [...inside, "127.0.0.1", "198.51.100.8", "2001:db9::"]), inside);
    assertEquals(parseDialRule(rule).text, rule);
  });

  it("are refused in words if they are none", () => {
    for (
      const block of ["", "10.0.0.0/33", "::/129", "10.0.0/8", "host", "10.0.0.0/", "fe80::1%eth0"]
    ) {
      assertThrows(() => parseDialRule(`10.0.0.0/8,${block}`), UsageError, JSON.stringify(block));
    }
  });
});
