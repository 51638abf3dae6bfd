import { assertEquals, assertLess, assertMatch } from "@std/assert";
import { describe, it } from "node:test";
import type { EndReason } from "../../server/counters.ts";
import { type AttackBed, KIB, MIB, underAttack } from "../support/attacks/attack_bed.ts";
import { join } from "../support/bytes.ts";
import { message, publish, subscribe } from "../support/clients/janus_client.ts";
import { quiet, until } from "../support/until.ts";
import { CONTINUATION, frame, PING, request, TEXT } from "../support/web_socket/frames.ts";
import { WebSocketClient } from "../support/web_socket/web_socket_client.ts";

const timeout = 60_000;

/** Attacks a server's port for WebSockets, and closes the attackers at the end. */
async function attack(
  flags: readonly string[],
  body: (bed: AttackBed, attackers: WebSocketClient[]) => Promise<void>,
): Promise<void> {
  await underAttack(["--ws-port", "0", ...flags], async (bed) => {
    const attackers: WebSocketClient[] = [];
    try {
      await body(bed, attackers);
    } finally {
      for (const client of attackers) client.dispose();
    }
  });
}

async function open(bed: AttackBed, attackers: WebSocketClient[], count: number) {
  for (let i = 0; i < count; i++) attackers.push(await WebSocketClient.open(bed.webSocketPort));
}

/** The end of each attacker: the error frame's code and the close frame's. */
async function assertEnds(
  bed: AttackBed,
  attackers: readonly WebSocketClient[],
  reason: EndReason,
  code: number,
): Promise<void> {
  await bed.untilEnded(reason, attackers.length);
  for (const client of attackers) {
    await client.ended(30_000);
    // One that still sends when the server has waited long enough for its end may lose the last words.
    if (client.wasReset && client.close === undefined) continue;
    assertMatch(client.said.at(-1)!, new RegExp(`"error":\\{"code":"${reason}"`));
    assertEquals(client.close?.code, code);
  }
}

describe("WebSockets", () => {
  it("that begin a handshake and no more are ended in time", { timeout }, async () => {
    await attack(["--idle-timeout", "2s"], async (bed, attackers) => {
      const handshake = request({ Cookie: "x".repeat(3_000) });
      for (let i = 0; i < 300; i++) {
        const client = WebSocketClient.bare(bed.webSocketPort);
        client.send(handshake.subarray(0, i * 10));
        attackers.push(client);
      }
      let at = 0;
      const timer = setInterval(() => {
        // A byte now and then is no sign of life before the handshake is done.
        for (const [i, client] of attackers.entries()) {
          client.send(handshake.subarray(i * 10 + at, i * 10 + at + 1));
        }
        at++;
      }, 200);
      try {
        await until("all are ended", () => attackers.every((one) => one.hasEnded), 30_000);
      } finally {
        clearInterval(timer);
      }
      // What the bystander publishes is held now and then too.
      const { counters } = await bed.untilState(
        "all are counted, and nothing is held",
        ({ counters, heldBytes }) => counters.ended.idle_timeout >= 300 && heldBytes === 0,
      );
      assertEquals(counters.ended.handshake_failed, 0);
    });
  });

  it("with headers without an end are told so, and cost no more memory", { timeout }, async () => {
    await attack([], async (bed, attackers) => {
      const endless = request({ Cookie: "x".repeat(60_000) });
      for (let i = 0; i < 200; i++) {
        const client = WebSocketClient.bare(bed.webSocketPort);
        client.send(endless);
        attackers.push(client);
      }
      for (const client of attackers) {
        await client.answered(30_000);
        assertEquals(client.status, 431);
      }
      await bed.untilEnded("handshake_failed", 200);
      assertLess((await bed.state()).peakHeldBytes, 200 * 8 * KIB + MIB);
    });
  });

  it("end at a frame's limit, in however many fragments it comes", { timeout }, async () => {
    await attack([], async (bed, attackers) => {
      await open(bed, attackers, 50);
      for (const client of attackers) client.send(frame(TEXT, "x", { isFinal: false }));
      const part = frame(CONTINUATION, "x".repeat(500), { isFinal: false });
      for (let i = 0; i < 140; i++) {
        for (const client of attackers) client.send(part);
        if (i % 20 === 0) await quiet(1);
      }
      await assertEnds(bed, attackers, "frame_too_large", 1009);
      assertLess((await bed.state()).peakHeldBytes, 50 * 160 * KIB);
    });
  });

  it("end when they flood with pings, and cost nobody a message", { timeout }, async () => {
    await attack([], async (bed, attackers) => {
      await open(bed, attackers, 50);
      const pings = join(Array(4_000).fill(frame(PING, "x")));
      for (const client of attackers) client.send(pings);
      await assertEnds(bed, attackers, "bad_frame", 1008);
      await bed.confirm();
    });
  });

  it("end when they flood with fragments of nothing", { timeout }, async () => {
    await attack([], async (bed, attackers) => {
      await open(bed, attackers, 50);
      for (const client of attackers) client.send(frame(TEXT, "PING\0", { isFinal: false }));
      const nothing = join(Array(1_000).fill(frame(CONTINUATION, "", { isFinal: false })));
      for (const client of attackers) client.send(join([nothing, nothing]));
      await assertEnds(bed, attackers, "bad_frame", 1008);
    });
  });

  it("that stop in the middle of a message count as what they take", { timeout }, async () => {
    await attack([], async (bed, attackers) => {
      await open(bed, attackers, 50);
      const ping = frame(PING, "x".repeat(100));
      const half = [
        // The head of a frame, and the pause between two of a message.
        frame(TEXT, "PING\0").subarray(0, 6),
        frame(TEXT, "PING\0", { isFinal: false }),
        ping.subarray(0, 50),
      ];
      const rest = [
        frame(TEXT, "PING\0").subarray(6),
        frame(CONTINUATION, "PING\0"),
        ping.subarray(50),
      ];
      for (let i = 0; i < half.length; i++) {
        for (const client of attackers) client.send(half[i]!);
        const least = 50 * (300 + (i === 2 ? 100 : 0));
        await bed.untilState("all is counted", ({ heldBytes }) => heldBytes >= least);
        assertLess((await bed.state()).heldBytes, 50 * KIB);
        for (const client of attackers) client.send(rest[i]!);
        await bed.untilState("all is freed", ({ heldBytes }) => heldBytes === 0);
      }
      for (const client of attackers) client.send(half[0]!);
      await bed.untilState("all is counted", ({ heldBytes }) => heldBytes >= 50 * 300);
      for (const client of attackers) client.dispose();
      await bed.untilState("all is freed", ({ heldBytes }) => heldBytes === 0);
    });
  });

  it("that ping and don't read hold next to nothing", { timeout }, async () => {
    await attack([], async (bed, attackers) => {
      await open(bed, attackers, 20);
      for (const client of attackers) client.stall();
      // Each second as many as a client may send, and no more, however late the server reads them.
      const pings = join(Array(990).fill(frame(PING, "x".repeat(125))));
      const { counters: { subscriptions } } = await bed.state();
      for (let i = 1; i <= 3; i++) {
        const last = frame(TEXT, subscribe(`nobody's ${i}`));
        for (const client of attackers) client.send(join([pings, last]));
        const goal = subscriptions + i * attackers.length;
        await bed.untilState("all are read", ({ counters }) => counters.subscriptions === goal);
        await quiet(1_000);
      }
      const { heldBytes, counters } = await bed.state();
      assertLess(heldBytes, 20 * KIB);
      assertEquals(counters.ended.bad_frame, 0);
    });
  });

  it(
    "end at the first frame that isn't masked, and what came before it counts",
    { timeout },
    async () => {
      await attack([], async (bed, attackers) => {
        await open(bed, attackers, 50);
        const listener = await bed.greeted();
        await listener.subscribe("t");
        for (const client of attackers) {
          client.send(
            join([frame(TEXT, publish(message("t"))), frame(TEXT, "PING\0", { mask: null })]),
          );
        }
        await assertEnds(bed, attackers, "bad_frame", 1002);
        for (let i = 0; i < attackers.length; i++) {
          assertMatch(await listener.frame(), /"data":"test"/);
        }
      });
    },
  );

  it("that take nothing end, and cost the memory of one", { timeout }, async () => {
    await attack(["--max-pending-bytes", String(2 * MIB)], async (bed, attackers) => {
      await open(bed, attackers, 20);
      for (const client of attackers) {
        await client.subscribe("t");
        client.stall();
      }
      const publisher = await bed.greeted();
      const padding = "p".repeat(60 * KIB);
      for (let ended = 0; ended < attackers.length;) {
        await publisher.sent(Array(8).fill(publish(message("t", padding))).join(""));
        ended = (await bed.state()).counters.ended.slow_consumer;
      }
      // Their queues are the same chunks; what TCP would need is there once more, as messages.
      assertLess((await bed.state()).peakHeldBytes, 12 * MIB);
      for (const client of attackers) client.flow();
      await until("all are ended", () => attackers.every((one) => one.hasEnded), 30_000);
    });
  });
});
