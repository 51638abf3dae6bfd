import { assertEquals, assertMatch } from "@std/assert";
import { afterEach, describe, it } from "node:test";
import { Link } from "../../../client/connection/link.ts";
import type { Transport, TransportHandler } from "../../../client/connection/transport.ts";
import { parseAddress } from "../../../client/connection/address.ts";
import { ConnectionError, type ConnectOptions } from "../../../client/exports.ts";
import { readOptions } from "../../../client/api/options.ts";
import { until } from "../../support/until.ts";

const TIMEOUT_MS = 100;
const FRAME = new TextEncoder().encode("{}\0");

/** A server's end of a connection, by hand. */
class ByHand implements Transport {
  readonly canPause = true;
  readonly handler: TransportHandler;
  isRead = true;

  constructor(handler: TransportHandler) {
    this.handler = handler;
    queueMicrotask(() => {
      handler.onOpen();
      handler.onFrame('{"timestamp":[1,2,3],"token":"0"}');
    });
  }

  write(): boolean {
    return true;
  }

  pause(): void {
    this.isRead = false;
  }

  resume(): void {
    this.isRead = true;
  }

  close(): void {}

  destroy(): void {}
}

/** Bun gives a test 5 s otherwise. */
const LONG = { timeout: 30_000 };

describe("a link", () => {
  const links: Link[] = [];
  afterEach(() => {
    for (const link of links.splice(0)) link.end(undefined);
  });

  /** A link that is open; its transports so far, and why they broke. */
  async function opened(
    options: ConnectOptions = {},
  ): Promise<{ link: Link; dialled: ByHand[]; broken: string[] }> {
    const dialled: ByHand[] = [];
    const broken: string[] = [];
    const settings = readOptions({
      ...{ timeout: TIMEOUT_MS, retry: { minMs: 0, maxMs: 0 } },
      ...options,
    });
    const link = new Link(
      [parseAddress("hotwheels://localhost")],
      settings,
      {
        onOpen() {},
        onFrame() {},
        onDrain() {},
        onBroken: (error) => broken.push(error.message),
        onEnd() {},
        onStatus() {},
        isSendDue: () => false,
      },
      (_address, handler) => {
        const transport = new ByHand(handler);
        dialled.push(transport);
        return transport;
      },
    );
    links.push(link);
    link.start();
    await until("it is open", () => link.isOpen);
    return { link, dialled, broken };
  }

  it(
    "is given up by a server that answers nothing, though it gives signs of life",
    LONG,
    async () => {
      const { link, dialled, broken } = await opened();
      link.send(FRAME, true);
      const pings = setInterval(() => dialled[0]!.handler.onFrame("PING"), 20);
      await until("it begins again", () => dialled.length > 1, 15_000);
      clearInterval(pings);
      assertMatch(broken[0]!, /hasn't answered anything for \d+ ms/);
      await until("it is open", () => link.isOpen);
    },
  );

  it(
    "stays with a server that answers one request after the other, however slowly",
    LONG,
    async () => {
      const { link, dialled, broken } = await opened();
      for (let i = 0; i < 100; i++) link.send(FRAME, true);
      // 4 s for what would be too long for one.
      for (let i = 0; i < 4; i++) {
        await new Promise((resolve) => setTimeout(resolve, 1_000));
        dialled[0]!.handler.onFrame('{"timestamp":[1,2,3],"receipt":{}}');
      }
      assertEquals([dialled.length, broken], [1, []]);
    },
  );

  it(
    "reads on for an answer, and doesn't wait for one for ever that it can't read",
    LONG,
    async () => {
      const { link, dialled, broken } = await opened({ pingAfter: 200, timeout: 20 });
      link.pause();
      assertEquals(dialled[0]!.isRead, false);
      link.send(FRAME, true);
      assertEquals(dialled[0]!.isRead, true);
      link.pause();
      await until("it rests", () => link.isHeld, 15_000);
      assertMatch(broken[0]!, /^A reader is slow/);
      link.resume();
      await until("it is open", () => link.isOpen);
    },
  );

  it("can be told to read on while it is broken", LONG, async () => {
    const { link, dialled } = await opened();
    link.pause();
    dialled[0]!.handler.onClose(new ConnectionError("it broke"));
    // The reader takes what waits for it.
    link.resume();
    await until("it is open again", () => dialled.length === 2 && link.isOpen);
    assertEquals(dialled[1]!.isRead, true);
  });
});
