import { assertEquals, assertNotEquals } from "@std/assert";
import { describe, it } from "node:test";
import { isMappedIpv4, parseIp, siteOf } from "../../../server/access/ip_address.ts";

describe("an address", () => {
  it("is the same number however it's written", () => {
    for (
      const spellings of [
        ["192.0.2.1", "::ffff:192.0.2.1", "::ffff:c000:201", "0:0:0:0:0:FFFF:192.0.2.1"],
        ["::1", "0:0:0:0:0:0:0:1", "0000::0001", "::0.0.0.1"],
        ["2001:db8::a:0", "2001:DB8:0:0:0:0:a:0", "2001:db8::a:0%eth0"],
        ["::", "0::", "::0", "0::0"],
      ]
    ) {
      for (const spelling of spellings) assertEquals(parseIp(spelling), parseIp(spellings[0]!));
    }
    assertEquals(parseIp("2001:db8::1"), 0x20010db8_00000000_00000000_00000001n);
    assertEquals(parseIp("255.1.2.3"), 0xffff_ff010203n);
  });

  it("is none where the text is none", () => {
    for (const text of ["", "1.2.3", "1.2.3.256", "host", "::g", "1::2::3", "1:2:3:4:5:6:7"]) {
      assertEquals(parseIp(text), undefined, text);
    }
  });

  it("of IPv4 is told from others", () => {
    assertEquals(isMappedIpv4(parseIp("0.0.0.0")!), true);
    assertEquals(isMappedIpv4(parseIp("::ffff:1.2.3.4")!), true);
    assertEquals(isMappedIpv4(parseIp("::1.2.3.4")!), false);
    assertEquals(isMappedIpv4(parseIp("2001:db8::1")!), false);
  });

  it("counts for itself with IPv4, and for its /64 with IPv6", () => {
    assertEquals(siteOf("192.0.2.1"), "192.0.2.1");
    assertNotEquals(siteOf("192.0.2.1"), siteOf("192.0.2.2"));
    assertEquals(siteOf("2001:db8::1"), siteOf("2001:db8:0:0:ffff::2"));
    assertNotEquals(siteOf("2001:db8::1"), siteOf("2001:db8:0:1::1"));
    assertEquals(siteOf("fe80::1%eth0"), siteOf("fe80::2%eth0"));
  });
});
