import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { describe, it } from "node:test";
import { parseHostAndPort, parseServerUrl } from "../../../bots/run/server_address.ts";
import { UsageError } from "../../../cli/command_line.ts";

describe("a server's URL", () => {
  it("names a protocol, a host and perhaps a port", () => {
    const cases = {
      "nats://localhost:4222": { dialect: "nats", host: "localhost", port: 4222 },
      "redis://10.0.0.7": { dialect: "redis", host: "10.0.0.7", port: null },
      "janus://[::1]:8081/": { dialect: "janus", host: "::1", port: 8081 },
      "ws://localhost:8080": { dialect: "ws", host: "localhost", port: 8080 },
      "wss://example.org": { dialect: "ws", isSecure: true, host: "example.org", port: null },
    } as const;
    for (const [url, address] of Object.entries(cases)) assertEquals(parseServerUrl(url), address);
  });

  it("is refused when it is anything else", () => {
    const bad = ["http://x:80", "nats:x", "nats://", "nats://x:0", "nats://x:y", "redis://x:1/2"];
    for (const url of bad) {
      const error = assertThrows(() => parseServerUrl(url), UsageError);
      assertStringIncludes(error.message, JSON.stringify(url));
    }
  });

  it("may hold no password, and the refusal doesn't repeat it", () => {
    const error = assertThrows(() => parseServerUrl("nats://me:secret@x:4222"), UsageError);
    assertEquals(error.message.includes("secret"), false);
  });
});

describe("a host and its port", () => {
  it("stand on both sides of a colon, an IPv6 address in brackets", () => {
    assertEquals(parseHostAndPort("a.example:81"), { host: "a.example", port: 81 });
    assertEquals(parseHostAndPort("[::1]:81"), { host: "::1", port: 81 });
    assertEquals(parseHostAndPort("10.0.0.7"), { host: "10.0.0.7", port: null });
  });

  it("are refused when they are anything else", () => {
    for (const place of ["", ":81", "::1", "a:", "a:70000", "a b", "a/b", "[::1"]) {
      assertThrows(() => parseHostAndPort(place), UsageError);
    }
  });
});
