import { assertEquals, assertThrows } from "@std/assert";
import { describe, it } from "node:test";
import { parseAddress } from "../../../client/connection/address.ts";
import { UrlError } from "../../../client/mod.ts";

describe("a server's URL", () => {
  it("has a host as the DNS has it, and a port", () => {
    for (
      const [url, hostname, port] of [
        ["hotwheels://localhost", "localhost", 8081],
        ["hotwheels://LOCALHOST:80/", "localhost", 80],
        ["hotwheelss://bücher.example:443", "xn--bcher-kva.example", 443],
        ["hotwheels://[::1]:9", "::1", 9],
        ["hotwheels://[fe80::1%25eth0]", "fe80::1%eth0", 8081],
        ["HOTWHEELSS://[FE80:0::1%251]:9/", "fe80::1%1", 9],
        ["hotwheels://under_score:9", "under_score", 9],
        ["hotwheels://127.1:9", "127.0.0.1", 9],
        ["wss://bücher.example:9/path?query", "xn--bcher-kva.example", 9],
      ] as const
    ) {
      const address = parseAddress(url);
      assertEquals([address.hostname, address.port, address.url], [hostname, port, url]);
    }
    const none = ["a%20b", "1.2.3.4.5", "a:70000", "[fe80::1%eth0]", "[::1%25]", "[::1%25a/b]"];
    for (const url of [...none.map((host) => `hotwheels://${host}`), "ws://[fe80::1%25eth0]"]) {
      assertThrows(() => parseAddress(url), UrlError);
    }
  });
});
