import { assert, assertEquals, assertLess, assertMatch } from "@std/assert";
import { spawnSync } from "node:child_process";
import { connect, createServer, type Socket } from "node:net";
import process from "node:process";
import { describe, it } from "node:test";
import { connect as connectTls } from "node:tls";
import type { RuntimeName } from "../../cli/program.ts";
import { KIB, MIB } from "../support/attacks/attack_bed.ts";
import { Fixture } from "../support/processes/fixture.ts";
import { FIRST, identityFile } from "../support/identities.ts";
import { ServerCommand } from "../support/processes/server_command.ts";
import { TlsClient } from "../support/clients/tls_client.ts";
import {
  APPLICATION_DATA,
  HANDSHAKE,
  hugeHello,
  tlsRecord,
  TlsTap,
} from "../support/network/tls_tap.ts";
import { quiet, until } from "../support/until.ts";

const timeout = 120_000;

const runtime: RuntimeName = "deno" in process.versions ? "deno" : "bun";

/** Runs a command in a network of its own, with small kernel buffers. */
const OWN_NETWORK = [
  ...["unshare", "--net", "sh", "-c"],
  'ip link set lo up && sysctl -qw net.ipv4.tcp_wmem="4096 16384 65536" net.ipv4.tcp_rmem="4096 16384 65536" && exec "$@"',
  "sh",
];

function whyNoOwnNetwork(): string | false {
  const [program, ...args] = [...OWN_NETWORK, "true"];
  const { status, error } = spawnSync(program!, args);
  const canMake = error === undefined && status === 0;
  return canMake ? false : "a network of one's own takes Linux, root, unshare, ip and sysctl";
}

const cannotTell = runtime === "bun" && "Bun doesn't say what its engine of TLS holds";

/** A server behind TLS, two clients whose messages must come, and those that attack it. */
class Bed {
  readonly server: ServerCommand;
  readonly #reader: TlsClient;
  readonly #publisher: TlsClient;
  readonly #attackers: { destroy(): void }[] = [];
  #said = 0;

  private constructor(server: ServerCommand, reader: TlsClient, publisher: TlsClient) {
    this.server = server;
    this.#reader = reader;
    this.#publisher = publisher;
  }

  static async run(flags: readonly string[], act: (bed: Bed) => Promise<void>): Promise<void> {
    const server = await ServerCommand.listening(runtime, [
      ...["--tls-cert", identityFile("first", "crt"), "--tls-key", identityFile("first", "key")],
      ...flags,
    ]);
    const clients: TlsClient[] = [];
    try {
      for (let i = 0; i < 2; i++) clients.push(await TlsClient.subscribed(server.port, FIRST));
      const bed = new Bed(server, clients[0]!, clients[1]!);
      try {
        await act(bed);
        await bed.confirm();
      } finally {
        for (const attacker of bed.#attackers) attacker.destroy();
      }
    } finally {
      for (const client of clients) client.dispose();
      await server.dispose();
    }
  }

  /** Fails unless messages come, to who was there and to who comes. */
  async confirm(): Promise<void> {
    const late = await TlsClient.subscribed(this.server.port, FIRST);
    try {
      for (let i = 0; i < 10; i++) {
        const text = `message ${this.#said++}`;
        this.#publisher.publish(text);
        await this.#reader.hears(text);
        await late.hears(text);
      }
    } finally {
      late.dispose();
    }
  }

  /** Attackers that connect and send something beneath TLS. */
  dial(count: number, bytes: Uint8Array): Attacker[] {
    const attackers = Array.from({ length: count }, () => new Attacker(this.server.port, bytes));
    this.#attackers.push(...attackers);
    return attackers;
  }

  /** Attackers that are greeted, and then send something beneath TLS. */
  async tap(count: number, bytes: Uint8Array): Promise<void> {
    const { hostname, port } = this.server;
    for (let i = 0; i < count; i++) {
      const tap = await TlsTap.before({ transport: "tcp", hostname, port });
      this.#attackers.push({ destroy: () => tap.close() });
      const client = await TlsClient.dial(tap.port, FIRST);
      this.#attackers.push({ destroy: () => client.dispose() });
      await tap.inject(bytes);
    }
  }
}

class Attacker {
  readonly #socket: Socket;
  isOver = false;

  constructor(port: number, bytes: Uint8Array) {
    this.#socket = connect({ host: "127.0.0.1", port });
    this.#socket.on("error", () => {});
    this.#socket.on("close", () => this.isOver = true);
    this.#socket.resume();
    this.#socket.write(bytes);
  }

  destroy(): void {
    this.#socket.destroy();
  }
}

/** The first message of a real client. */
async function realHello(): Promise<Uint8Array> {
  let hello: Uint8Array | undefined;
  const server = createServer((socket) => {
    socket.on("error", () => {});
    socket.once("data", (chunk: Uint8Array) => {
      hello = chunk;
      socket.destroy();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  const client = connectTls({ host: "127.0.0.1", port });
  client.on("error", () => {});
  try {
    await until("it has said hello", () => hello !== undefined);
  } finally {
    client.destroy();
    server.close();
  }
  return hello!;
}

describe("peers behind TLS", () => {
  it("that don't read cost a record each, and no more", {
    timeout,
    skip: whyNoOwnNetwork(),
  }, async () => {
    const readers = 500;
    const script = new URL("../support/attacks/tls_readers.ts", import.meta.url).pathname;
    const args = [String(readers), String(2 * MIB)];
    const crowd = new Fixture(script, args, undefined, OWN_NETWORK);
    try {
      await until("it has ended", () => crowd.hasEnded, timeout);
      const grownBytes = Number(await crowd.line());
      assert(grownBytes > 0, crowd.errors);
      // It's 30 to 40 MiB, half of it for a first use of everything; with pieces of 64 KiB it was 83.
      assertLess(grownBytes / MIB, 55);
    } finally {
      await crowd.stop();
    }
  });

  it("whose handshake is larger than any are ended early", { timeout }, async () => {
    await Bed.run([], async (bed) => {
      const record = tlsRecord(HANDSHAKE, new Uint8Array(8 * KIB));
      const huge = [tlsRecord(HANDSHAKE, hugeHello(8 * KIB)), record, record];
      const attackers = bed.dial(300, Uint8Array.from(huge.flatMap((some) => [...some])));
      await until("they are ended", () => attackers.every(({ isOver }) => isOver));
      await bed.confirm();
      assertMatch(bed.server.stderr, /closed 127\.0\.0\.1:\d+: handshake_failed/);
    });
  });

  it("whose handshake hangs give way where memory is short", {
    timeout,
    skip: cannotTell,
  }, async () => {
    const hello = await realHello();
    await Bed.run(["--max-total-pending-bytes", String(4 * MIB)], async (bed) => {
      const attackers = bed.dial(100, hello);
      await until("most are ended", () => attackers.filter((one) => one.isOver).length > 60);
      await bed.confirm();
      assertMatch(bed.server.stderr, /handshake_failed.*Memory is too short for a handshake/);
      // Some may stay, as they hold what may be held.
      await quiet(500);
      assertEquals(attackers.every(({ isOver }) => isOver), false);
    });
  });

  it("that keep a record unfinished give way where memory is short", {
    timeout,
    skip: cannotTell,
  }, async () => {
    await Bed.run(["--max-total-pending-bytes", String(4 * MIB)], async (bed) => {
      await bed.tap(80, tlsRecord(APPLICATION_DATA, new Uint8Array(15_000), 16_000));
      const closed = /closed 127\.0\.0\.1:\d+: frame_too_large.*Memory is too short for a frame/g;
      await until("some are ended", () => (bed.server.stderr.match(closed)?.length ?? 0) > 10);
      await bed.confirm();
    });
  });
});
