import { assert, assertEquals, assertLessOrEqual } from "@std/assert";
import * as fc from "fast-check";
import { describe, it } from "node:test";
import { TlsRecords } from "../../../runtime/tls/records.ts";
import { assertBytes, join, pattern } from "../../support/bytes.ts";
import { APPLICATION_DATA, HANDSHAKE, tlsRecord } from "../../support/network/tls_tap.ts";

const MAX_RECORD_BYTES = 5 + 16 * 1024 + 256;

/** Takes all that there is. */
function takeAll(records: TlsRecords, maxBytes: number): Uint8Array[] {
  const taken: Uint8Array[] = [];
  for (let next = records.take(maxBytes); next !== undefined; next = records.take(maxBytes)) {
    taken.push(next.slice());
  }
  return taken;
}

describe("records of TLS", () => {
  it("come whole, in order, and nothing but the rest of one is kept", () => {
    const bodies = fc.array(fc.nat({ max: MAX_RECORD_BYTES - 5 }), { minLength: 1, maxLength: 6 });
    const cuts = fc.array(fc.integer({ min: 1, max: 40_000 }), { minLength: 1, maxLength: 10 });
    fc.assert(fc.property(bodies, cuts, fc.nat({ max: 40_000 }), (bodies, cuts, maxBytes) => {
      const sent = bodies.map((bytes, i) => tlsRecord(APPLICATION_DATA, pattern(i, bytes)));
      const stream = join(sent);
      const records = new TlsRecords();
      const taken: Uint8Array[] = [];
      let arrived = 0;
      for (let i = 0; arrived < stream.length; i++) {
        const chunk = stream.subarray(arrived, arrived + cuts[i % cuts.length]!);
        arrived += chunk.length;
        records.push(chunk);
        for (const some of takeAll(records, maxBytes)) {
          assert(some.length <= maxBytes || sent.some(({ length }) => length === some.length));
          taken.push(some);
        }
        assertEquals(records.nextBytes, 0);
        assertLessOrEqual(records.heldBytes, MAX_RECORD_BYTES);
      }
      assertBytes(join(taken), stream);
      assertEquals(records.heldBytes, 0);
    }));
  });

  it("cost no more than twice what has come, whatever their heads say", () => {
    const record = tlsRecord(APPLICATION_DATA, new Uint8Array(12_000), 16_000);
    const records = new TlsRecords();
    for (let at = 0; at < record.length; at++) {
      records.push(record.subarray(at, at + 1));
      assertLessOrEqual(records.heldBytes, 2 * (at + 1));
      assertEquals(records.take(0), undefined);
    }
    records.push(new Uint8Array(4_000));
    assertEquals([records.nextBytes, records.heldBytes], [16_005, 16_005]);
  });

  it("are taken one by one where that is asked", () => {
    const records = new TlsRecords();
    records.push(join([1, 2, 3].map((n) => tlsRecord(HANDSHAKE, pattern(n, n)))));
    assertEquals(takeAll(records, 0).map(({ length }) => length), [6, 7, 8]);
  });

  it("aren't looked for in what can't be any", () => {
    for (
      const text of [
        "<regular-socket/>\0",
        "\x80\x2e\x01\x03",
        "\x16\x04\x01",
        "\x16\x03\x01\xff\xff",
      ]
    ) {
      const bytes = Uint8Array.from(text, (letter) => letter.charCodeAt(0));
      const records = new TlsRecords();
      records.push(bytes);
      assertBytes(records.take(0)!, bytes);
      assertEquals(records.heldBytes, 0);
    }
  });

  it("are forgotten by clear()", () => {
    const records = new TlsRecords();
    records.push(tlsRecord(HANDSHAKE, new Uint8Array(10), 100));
    records.clear();
    assertEquals([records.heldBytes, records.nextBytes], [0, 0]);
  });
});
