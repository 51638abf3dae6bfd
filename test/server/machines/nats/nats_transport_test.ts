import { assertEquals } from "@std/assert";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { describe, it } from "node:test";
import { CoarseClock } from "../../../../server/timing/coarse_clock.ts";
import { NatsTransport } from "../../../../server/machines/nats/nats_transport.ts";
import { SWEEP_INTERVAL_MS } from "../../../../server/limits/clients.ts";
import { quiet, until } from "../../../support/until.ts";

const timeout = 60_000;

/** The little of NATS that a connection needs, in the hands of a test. */
class FakeNats {
  readonly sockets = new Set<Socket>();
  /** Called for each ping: true if it is answered. */
  answers: (socket: Socket) => boolean = () => true;
  readonly #server = createServer((socket) => {
    this.sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => this.sockets.delete(socket));
    socket.write('INFO {"server_id":"fake","version":"2.9.0","proto":1,"max_payload":1048576}\r\n');
    socket.on("data", (chunk) => {
      for (const line of chunk.toString("latin1").split("\r\n")) {
        if (line === "PING" && this.answers(socket)) socket.write("PONG\r\n");
      }
    });
  });

  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async dispose(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

/** Runs a transport that is connected with a fake NATS while `body` does. */
async function withTransport(
  nats: FakeNats,
  body: (transport: NatsTransport, said: readonly string[], clock: CoarseClock) => Promise<void>,
): Promise<void> {
  const clock = new CoarseClock(0);
  const said: string[] = [];
  const options = {
    servers: [await nats.listen()],
    name: "t",
    isSecure: false,
    minPayloadBytes: 1_000,
  };
  const transport = await NatsTransport.open("a".repeat(16), options, clock, {
    onFrame() {},
    onCaughtUp() {},
    onConnected: () => void said.push("connected"),
    onAway: (reason) => void said.push(`away: ${reason}`),
    onError() {},
  });
  try {
    await body(transport, said, clock);
  } finally {
    await transport.close();
    await nats.dispose();
  }
}

describe("a connection with NATS", () => {
  const frame = new TextEncoder().encode("frame");

  it("takes frames where an earlier one was given up before NATS had said what it took", {
    timeout,
  }, async () => {
    const nats = new FakeNats();
    await withTransport(nats, async (transport, said, clock) => {
      await until("it is connected", () => transport.isConnected);
      nats.answers = () => false;
      transport.send(frame);
      const denial = 'Permissions Violation for Publish to "hotwheels.t.all"';
      for (const socket of nats.sockets) socket.write(`-ERR '${denial}'\r\n`);
      await until("it is given up", () => !transport.isConnected);
      nats.answers = () => true;
      await until("there is another one", () => transport.isConnected);
      transport.send(frame);
      await until("all is taken", () => transport.unsentBytes === 0);
      for (let i = 0; i < 10; i++) {
        clock.nowMs += SWEEP_INTERVAL_MS;
        transport.sweep();
      }
      assertEquals(said, [
        "connected",
        `away: it denies this server something: ${denial}`,
        "connected",
      ]);
    });
  });

  it("is closed where it breaks before it stands", { timeout }, async () => {
    const nats = new FakeNats();
    let pings = 0;
    // The first ping is the client's own; the second one asks whether all is permitted.
    nats.answers = (socket) => {
      if (++pings === 2) socket.destroy();
      return pings !== 2;
    };
    await withTransport(nats, async (transport) => {
      await until("it is connected", () => transport.isConnected);
      // For one that nobody has closed, which would come again by itself.
      await quiet(2_500);
      assertEquals(nats.sockets.size, 1);
    });
  });
});
