import { assert, assertEquals, assertGreater, assertThrows } from "@std/assert";
import fc from "fast-check";
import { describe, it } from "node:test";
import {
  MAX_TIMESTAMP_BYTES,
  parseTimestamp,
  TimestampIssuer,
  writeTimestamp,
} from "../../protocol/timestamp.ts";

function text(micros: number): string {
  const target = new Uint8Array(MAX_TIMESTAMP_BYTES + 6).fill(0x78);
  const end = writeTimestamp(micros, target, 3);
  const written = new TextDecoder().decode(target);
  assertEquals(written.slice(0, 3) + written.slice(end), "x".repeat(26 - (end - 3)));
  return written.slice(3, end);
}

/** A clock that reads each of `readings` once. */
function clock(...readings: number[]): () => number {
  return () => readings.shift()!;
}

function take(issuer: TimestampIssuer, count: number): number[] {
  return Array.from({ length: count }, () => issuer.next());
}

describe("TimestampIssuer", () => {
  it("issues the clock's reading in whole microseconds", () => {
    assertEquals(take(new TimestampIssuer(clock(1e15, 1e15 + 1.9, 1e15 + 7)), 3), [
      1e15,
      1e15 + 1,
      1e15 + 7,
    ]);
  });

  it("goes on by one microsecond while the clock stands still", () => {
    assertEquals(take(new TimestampIssuer(() => 1e15), 3), [1e15, 1e15 + 1, 1e15 + 2]);
  });

  it("goes on by one microsecond while the clock is behind, until it has caught up", () => {
    assertEquals(take(new TimestampIssuer(clock(5000, 10, 5001, 5001.9, 5004)), 5), [
      5000,
      5001,
      5002,
      5003,
      5004,
    ]);
  });

  it("rises strictly whatever the clock reads", () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: -1e15, max: 8e15 })), (readings) => {
        const count = readings.length;
        const issued = take(new TimestampIssuer(clock(...readings)), count);
        issued.forEach((micros, i) => {
          assert(Number.isSafeInteger(micros));
          assertGreater(micros, i === 0 ? 0 : issued[i - 1]!);
        });
      }),
    );
  });

  it("reads the clock once for a group, whose timestamps are a microsecond apart", () => {
    const issuer = new TimestampIssuer(clock(1e15, 1e15 + 50, 1e15 + 60));
    issuer.beginGroup();
    const first = [issuer.nextOfGroup(), issuer.nextOfGroup(), issuer.nextOfGroup()];
    assertEquals(first, [1e15, 1e15 + 1, 1e15 + 2]);
    assertEquals(issuer.next(), 1e15 + 50);
    assertEquals(issuer.nextOfGroup(), 1e15 + 51);
    issuer.beginGroup();
    assertEquals(issuer.nextOfGroup(), 1e15 + 60);
  });

  it("agrees with the system's clock by default", () => {
    const before = Date.now();
    const issued = new TimestampIssuer().next() / 1000;
    const after = Date.now();
    // Date.now() follows steps of the clock that came after the process began; the issuer doesn't.
    assertGreater(issued, before - 60_000);
    assertGreater(after + 60_000, issued);
  });

  it("rises strictly in a tight loop on the real clock", () => {
    const issued = take(new TimestampIssuer(), 10_000);
    issued.forEach((micros, i) => i > 0 && assertGreater(micros, issued[i - 1]!));
  });
});

describe("writeTimestamp", () => {
  it("writes megaseconds, seconds and microseconds without padding", () => {
    assertEquals(text(1795_435717_985835), "[1795,435717,985835]");
    assertEquals(text(1795_435719_993501), "[1795,435719,993501]");
    assertEquals(text(0), "[0,0,0]");
    assertEquals(text(1000_000000_000000), "[1000,0,0]");
    assertEquals(text(1_000001_000001), "[1,1,1]");
    assertEquals(text(12_000345_006789), "[12,345,6789]");
  });

  it("rolls over from microseconds to seconds to megaseconds", () => {
    assertEquals(text(999_999), "[0,0,999999]");
    assertEquals(text(1_000_000), "[0,1,0]");
    assertEquals(text(1795_435717_999999), "[1795,435717,999999]");
    assertEquals(text(1795_435718_000000), "[1795,435718,0]");
    assertEquals(text(1795_999999_999999), "[1795,999999,999999]");
    assertEquals(text(1796_000000_000000), "[1796,0,0]");
  });

  it("is exact up to the largest safe integer", () => {
    assertEquals(text(Number.MAX_SAFE_INTEGER), "[9007,199254,740991]");
    assertEquals(MAX_TIMESTAMP_BYTES, "[9007,199254,740991]".length);
    for (const power of [9, 99, 999, 9_999, 99_999, 999_999]) {
      assertEquals(text(power), `[0,0,${power}]`);
      assertEquals(text(power + 1), power === 999_999 ? "[0,1,0]" : `[0,0,${power + 1}]`);
    }
    fc.assert(fc.property(fc.maxSafeNat(), (micros) => {
      const whole = BigInt(micros);
      const parts = [whole / 10n ** 12n, whole / 10n ** 6n % 10n ** 6n, whole % 10n ** 6n];
      assertEquals(text(micros), `[${parts.join(",")}]`);
    }));
  });

  it("is exact just below each whole second, where a quotient might round up", () => {
    fc.assert(fc.property(fc.integer({ min: 1, max: 9_007_199_253 }), (second) => {
      const mega = Math.floor((second - 1) / 1_000_000);
      assertEquals(text(second * 1_000_000 - 1), `[${mega},${(second - 1) % 1_000_000},999999]`);
    }));
  });

  it("refuses what isn't a number of microseconds", () => {
    for (const micros of [-1, 0.5, NaN, Infinity, Number.MAX_SAFE_INTEGER + 1]) {
      assertThrows(() => text(micros), RangeError, String(micros));
    }
  });

  it("refuses a target without room", () => {
    const target = new Uint8Array(MAX_TIMESTAMP_BYTES);
    writeTimestamp(Number.MAX_SAFE_INTEGER, target, 0);
    assertThrows(() => writeTimestamp(1, target, 1), RangeError, "No room");
  });
});

describe("parseTimestamp", () => {
  it("reads what writeTimestamp writes", () => {
    fc.assert(fc.property(fc.maxSafeNat(), (micros) => {
      assertEquals(parseTimestamp(JSON.parse(text(micros))), micros);
    }));
  });

  it("refuses everything else", () => {
    const others = [
      undefined,
      null,
      1795,
      "[1,2,3]",
      {},
      [],
      [1, 2],
      [1, 2, 3, 4],
      ["1", 2, 3],
      [1, "2", 3],
      [1, 2, "3"],
      [1, 2, null],
      [-1, 2, 3],
      [1, -2, 3],
      [1, 2, -3],
      [1.5, 2, 3],
      [1, 2.5, 3],
      [1, 2, 3.5],
      [1, 1_000_000, 3],
      [1, 2, 1_000_000],
      [9007, 199254, 740992],
      [NaN, 2, 3],
    ];
    for (const other of others) {
      assertEquals(parseTimestamp(other), undefined, JSON.stringify(other));
    }
  });
});
