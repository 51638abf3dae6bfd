import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import fc from "fast-check";
import { describe, it } from "node:test";
import { BufferPool } from "../../../protocol/framing/buffer_pool.ts";
import { ClientDecoder } from "../../../protocol/client_decoder.ts";
import { ProtocolError } from "../../../protocol/errors.ts";
import { latin1, Recorder } from "../client_stream.ts";

const KIB = 1024;
const MIB = KIB * KIB;

describe("BufferPool", () => {
  it("lends powers of two, and the same buffers again", () => {
    const pool = new BufferPool(MIB);
    const sizes = [1, 256, 257, 512, 513, 65_535, 65_536, 65_537].map((byteLength) => {
      const buffer = pool.take(byteLength);
      pool.giveBack(buffer);
      return buffer.length;
    });
    assertEquals(sizes, [256, 256, 512, 512, 1024, 65_536, 65_536, 131_072]);
    const first = pool.take(1000);
    const second = pool.take(1000);
    assert(first !== second);
    pool.giveBack(first);
    assertStrictEquals(pool.take(600), first);
  });

  it("keeps no more than its limit, what is lent included", () => {
    const pool = new BufferPool(10 * KIB);
    const lent = Array.from({ length: 16 }, () => pool.take(KIB));
    assertEquals([pool.lentBytes, pool.keptBytes], [16 * KIB, 0]);
    for (const buffer of lent) {
      pool.giveBack(buffer);
      assert(pool.keptBytes === 0 || pool.lentBytes + pool.keptBytes <= 10 * KIB);
    }
    assertEquals([pool.lentBytes, pool.keptBytes], [0, 10 * KIB]);
    const huge = pool.take(4 * MIB + 1);
    assertEquals([huge.length, pool.lentBytes], [4 * MIB + 1, 4 * MIB + 1]);
    pool.giveBack(huge);
    assertEquals([pool.lentBytes, pool.keptBytes], [0, 10 * KIB]);
  });

  it("gives up what isn't needed, and keeps what is", () => {
    const pool = new BufferPool(MIB);
    const lent = Array.from({ length: 64 }, () => pool.take(KIB));
    for (const buffer of lent) pool.giveBack(buffer);
    for (let second = 0; second < 20; second++) {
      for (const buffer of [pool.take(KIB), pool.take(KIB), pool.take(KIB)]) pool.giveBack(buffer);
      pool.trim();
    }
    assertEquals(pool.keptBytes, 3 * KIB);
    for (let second = 0; second < 4; second++) pool.trim();
    assertEquals(pool.keptBytes, 0);
  });
});

/** A client's next step. */
type Step = { readonly client: number; readonly does: "sends" | "goes"; readonly bytes: number };

/** A stream that is a client's alone: its bytes, its topics and its keys have its letter in them. */
function streamOf(client: number): Uint8Array {
  const letter = String.fromCharCode(0x61 + client);
  const text = (length: number) => letter.repeat(length);
  const deep = `{"topic":"${letter}","d":${"[".repeat(300)}"${letter}"${"]".repeat(300)}}`;
  return latin1(
    [
      `PUBLISH\0{"topic":"${letter}","d":"${text(700)}"}\0`,
      `{"action":"subscribe","data":"${text(200)}"}\0`,
      `PUBLISH\0${deep}\0`,
      `{"action":"publish","data":{"topic":"${letter}","d":"${text(300)}"}}\0`,
      `{"action":"authenticate","data":"${text(90)}"}\0`,
      `PUBLISH\0{"topic":"${letter}","d":"${text(90)}`,
      "\0",
    ].join(""),
  );
}

describe("decoders that share a pool", () => {
  it("hear each their own client, whatever the others do, and keep nothing", () => {
    const step: fc.Arbitrary<Step> = fc.record({
      client: fc.nat(4),
      does: fc.constantFrom("sends", "sends", "sends", "sends", "sends", "goes"),
      bytes: fc.integer({ min: 1, max: 900 }),
    });
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 300 }),
        fc.constantFrom(0, 4 * KIB, MIB),
        (steps, most) => {
          const pool = new BufferPool(most);
          const limits = { maxFrameBytes: 2 * KIB };
          const begin = () => ({
            decoder: new ClientDecoder(limits, pool),
            alone: new ClientDecoder(limits),
            heard: new Recorder(),
            expected: new Recorder(),
            sent: 0,
          });
          const clients = Array.from({ length: 5 }, begin);
          for (const { client, does, bytes } of steps) {
            const stream = streamOf(client);
            const { decoder, alone, heard, expected, sent } = clients[client]!;
            const chunk = stream.slice(sent, sent + bytes);
            clients[client]!.sent += bytes;
            let isOver = does === "goes" || sent + bytes >= stream.length;
            for (const [of, sink] of [[decoder, heard], [alone, expected]] as const) {
              try {
                of.push(chunk, sink);
              } catch (error) {
                assert(error instanceof ProtocolError);
                isOver = true;
              }
            }
            assertEquals(heard.heard, expected.heard);
            if (isOver) {
              decoder.discard();
              clients[client] = begin();
            }
            const held = clients.reduce((sum, { decoder }) => sum + decoder.heldBytes, 0);
            assertEquals(pool.lentBytes, held);
          }
          for (const { decoder } of clients) decoder.discard();
          assertEquals(pool.lentBytes, 0);
          assert(pool.keptBytes <= most);
        },
      ),
      { numRuns: 300 },
    );
  });

  it("hear nothing more once they're discarded, also from inside a frame, whose bytes stay", () => {
    const pool = new BufferPool(MIB);
    const decoder = new ClientDecoder({ maxFrameBytes: KIB }, pool);
    const other = new ClientDecoder({ maxFrameBytes: KIB }, pool);
    const heard: string[] = [];
    const sink = Object.assign(new Recorder(), {
      onPublish(_topic: string, message: Uint8Array) {
        decoder.discard();
        other.push(latin1(`PUBLISH\0{"topic":"${"b".repeat(200)}`), new Recorder());
        heard.push(String.fromCharCode(...message));
      },
    });
    decoder.push(latin1('PUBLISH\0{"topic":"'), sink);
    const rest = latin1('a"}\0PUBLISH\0{"topic":"a"}\0PUBLISH\0{"topic":"');
    assertEquals(decoder.push(rest, sink), rest.length);
    assertEquals(heard, ['{"topic":"a"}']);
    assertEquals([decoder.heldBytes, pool.lentBytes], [0, other.heldBytes]);
  });

  it("keeps nothing once it's told to give all up, and lends on", () => {
    const pool = new BufferPool(1_000_000);
    const lent = pool.take(5_000);
    const buffers = [300, 5_000, 5_000].map((bytes) => pool.take(bytes));
    for (const buffer of buffers) pool.giveBack(buffer);
    pool.clear();
    assertEquals([pool.keptBytes, pool.lentBytes], [0, lent.byteLength]);
    assertEquals(buffers.includes(pool.take(5_000)), false);
    pool.giveBack(lent);
    pool.trim();
    assertEquals(pool.keptBytes, lent.byteLength);
  });
});
