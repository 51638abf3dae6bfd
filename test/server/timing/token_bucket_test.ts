import { assertEquals } from "@std/assert";
import { describe, it } from "node:test";
import { TokenBucket } from "../../../server/timing/token_bucket.ts";

describe("a token bucket", () => {
  it("gives a burst at once, then its rate", () => {
    const bucket = new TokenBucket({ perSecond: 10, burst: 3 }, 1000);
    for (let i = 0; i < 3; i++) {
      assertEquals(bucket.hasToken(1000), true);
      bucket.take(1000);
    }
    assertEquals(bucket.hasToken(1000), false);
    assertEquals(bucket.hasToken(1099), false);
    assertEquals(bucket.hasToken(1100), true);
    bucket.take(1100);
    assertEquals(bucket.hasToken(1100), false);
  });

  it("keeps no more than a burst however long it rests", () => {
    const bucket = new TokenBucket({ perSecond: 10, burst: 3 }, 0);
    for (let i = 0; i < 3; i++) bucket.take(3_600_000);
    assertEquals(bucket.hasToken(3_600_000), false);
    assertEquals(bucket.isFull(3_600_299), false);
    assertEquals(bucket.isFull(3_600_301), true);
  });

  it("is paid back what was taken beyond its tokens", () => {
    const bucket = new TokenBucket({ perSecond: 10, burst: 3 }, 0);
    for (let i = 0; i < 13; i++) bucket.take(0);
    assertEquals(bucket.hasToken(1_000), false);
    assertEquals(bucket.hasToken(1_100), true);
  });
});
