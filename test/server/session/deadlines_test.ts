import { assert, assertEquals } from "@std/assert";
import { describe, it } from "node:test";
import { withServer } from "../../support/clients/janus_bed.ts";
import {
  type ClientEnd,
  delivered,
  errorOf,
  type JanusClient,
  message,
  publish,
  unstamp,
} from "../../support/clients/janus_client.ts";
import { quiet, until } from "../../support/until.ts";

/** Short enough for a test, long enough for a machine that is busy with others. */
const SHORT = { pingAfterMs: 900, idleMs: 900 };

/** The frames before the server closed it, which it must do with `idle_timeout`. */
async function idledOut(client: JanusClient): Promise<{ how: ClientEnd; before: string[] }> {
  const { how, frames } = await client.closed();
  assertEquals(errorOf(frames.pop()).code, "idle_timeout");
  return { how, before: frames };
}

/** Does it again and again, until it's told to stop. */
function repeatedly(intervalMs: number, action: () => void): () => void {
  const timer = setInterval(action, intervalMs);
  return () => clearInterval(timer);
}

describe("deadlines", () => {
  it("closes who has sent nothing, without a PING", async () => {
    await withServer({ idleMs: 300, pingAfterMs: 100 }, async (bed) => {
      const client = await bed.greeted();
      assertEquals(await idledOut(client), { how: "fin", before: [] });
      assertEquals(bed.ended.map(({ reason }) => reason), ["idle_timeout"]);
    });
  });

  for (
    const [what, bytes] of [
      ["a frame", "x"],
      ["an action", '{"action":"subscribe","data":"' + "x".repeat(100)],
    ] as const
  ) {
    it(`closes who never completes ${what}, however it trickles`, async () => {
      await withServer({ idleMs: 500, pingAfterMs: 10_000 }, async (bed) => {
        const client = await bed.greeted();
        let at = 0;
        const stop = repeatedly(50, () => client.send(bytes[at++ % bytes.length]!));
        try {
          assertEquals(await idledOut(client), { how: "fin", before: [] });
        } finally {
          stop();
        }
      });
    });
  }

  for (const frame of ["\0", "\0<regular-socket/>\0", "PING\0", "PUBLISH\0"]) {
    it(`sends PING to who is silent after ${JSON.stringify(frame)}, then closes`, async () => {
      await withServer({ idleMs: 800, pingAfterMs: 500 }, async (bed) => {
        const client = await bed.greeted();
        client.send(frame);
        assertEquals(await idledOut(client), { how: "fin", before: ["PING"] });
      });
    });
  }

  it("sends PING to a silent subscriber, also one that gets messages all the time", async () => {
    await withServer({ idleMs: 800, pingAfterMs: 500 }, async (bed) => {
      const client = await bed.subscribed("t");
      const publisher = await bed.greeted();
      const stop = repeatedly(20, () => publisher.send(publish(message("t"))));
      try {
        const { before } = await idledOut(client);
        assertEquals(before.filter((frame) => frame === "PING").length, 1);
        for (const frame of before) {
          if (frame !== "PING") assertEquals(unstamp(frame).rest, delivered(message("t")));
        }
      } finally {
        stop();
      }
    });
  });

  it("keeps who answers PONG to each PING", async () => {
    await withServer(SHORT, async (bed) => {
      const client = await bed.subscribed("t");
      for (let i = 0; i < 3; i++) {
        assertEquals(await client.frame(), "PING");
        client.send("PONG\0");
      }
      // Asked again, so the answer was heard, and nothing else came.
      assertEquals(await client.frame(), "PING");
      client.send(publish(message("t")));
      assertEquals(unstamp(await client.frame()).rest, delivered(message("t")));
    });
  });

  it("asks nothing of who isn't silent, whatever it sends", async () => {
    await withServer(SHORT, async (bed) => {
      const client = await bed.subscribed("t");
      const bytes = '{"action":"subscribe","data":"t2"}';
      let at = 0;
      const stop = repeatedly(50, () => client.send(bytes[at++] ?? ""));
      await quiet(1800);
      stop();
      assertEquals(client.frames, []);
      assertEquals(client.ended, null);
      client.send(bytes.slice(at) + "\0");
      await until("ACK comes", () => client.frames.includes("ACK"));
    });
  });

  it("lets neighbours' deadlines alone", async () => {
    await withServer({ idleMs: 800, pingAfterMs: 500 }, async (bed) => {
      const silent = await bed.subscribed("t");
      const lively = await bed.subscribed("t");
      const stop = repeatedly(50, () => lively.send("PONG\0"));
      try {
        await idledOut(silent);
        assertEquals(lively.frames, []);
        assertEquals(lively.ended, null);
      } finally {
        stop();
      }
    });
  });

  it("gives a publisher that stays a second, not a PING", async () => {
    await withServer({ idleMs: 600, pingAfterMs: 600 }, async (bed) => {
      const client = await bed.greeted();
      client.send(`PUBLISH\0${message("t")}`);
      assertEquals(await client.closed(), { how: "fin", frames: [] });
      assertEquals(bed.ended.map(({ reason }) => reason), ["published"]);
    });
  });

  it("sends what is queued before idle_timeout", async () => {
    await withServer({ idleMs: 800, pingAfterMs: 500 }, async (bed) => {
      const client = await bed.subscribed("t");
      client.pause();
      const publisher = await bed.greeted();
      const stop = repeatedly(50, () => {
        client.send("PONG\0");
        publisher.send("PONG\0");
      });
      try {
        const data = "z".repeat(60_000);
        for (let i = 0; i < 120; i++) await publisher.sent(publish(message("t", `${i} ${data}`)));
        await publisher.synced();
      } finally {
        stop();
      }
      await bed.untilEnded("idle_timeout", 2);
      const { pendingBytes } = bed.ended.find((ended) => ended.pendingBytes > 0)!;
      assert(pendingBytes > 100_000);
      client.resume();
      const { before } = await idledOut(client);
      const numbers = before.filter((frame) => frame !== "PING").map((frame) =>
        (JSON.parse(frame) as { data: string }).data.split(" ")[0]
      );
      assertEquals(numbers, Array.from({ length: 120 }, (_, i) => String(i)));
    });
  });
});
