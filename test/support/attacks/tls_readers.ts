// A server behind TLS, readers that stall, and by how much its memory grows when something is published to
// all of them. To be run in a network of its own, whose kernel buffers are small.

import { readFileSync } from "node:fs";
import process from "node:process";
import type { RuntimeName } from "../../../cli/program.ts";
import { detectRuntime } from "../../../runtime/detect.ts";
import type { Connection } from "../../../runtime/types.ts";
import { FIRST, identityFile, trustIn } from "../identities.ts";
import { publishForReceipt, subscribe } from "../clients/janus_client.ts";
import { ServerCommand } from "../processes/server_command.ts";
import { quiet, until } from "../until.ts";

const [readers, publishedBytes] = process.argv.slice(2).map(Number) as [number, number];
const AT_ONCE = 25;
const PADDING = "p".repeat(60_000);

const runtime = await detectRuntime();
const server = await ServerCommand.listening(runtime.name as RuntimeName, [
  ...["--tls-cert", identityFile("first", "crt"), "--tls-key", identityFile("first", "key")],
  ...["--write-deadline", "60s", "--soft-pending-time", "60s"],
]);

/** Bytes of memory that the server's process has, or the most that it ever had. */
function memoryBytes(what: "VmRSS" | "VmHWM"): number {
  const status = readFileSync(`/proc/${server.pid}/status`, "utf8");
  return Number(new RegExp(`${what}:\\s*(\\d+)`).exec(status)?.[1]) * 1024;
}

class Client {
  text = "";
  #connection: Connection | undefined;

  static async greeted(): Promise<Client> {
    const client = new Client();
    const decoder = new TextDecoder();
    client.#connection = await runtime.connect({
      transport: "tcp",
      hostname: server.hostname,
      port: server.port,
      tls: trustIn(FIRST),
    }, () => ({
      onData: (chunk) => client.text += decoder.decode(chunk),
      onDrain() {},
      onEnd() {},
      onClose() {},
    }));
    await until("it is greeted", () => client.text.endsWith("\u0001"));
    return client;
  }

  send(text: string): void {
    this.#connection!.write(new TextEncoder().encode(text));
  }

  async stall(): Promise<void> {
    this.send(subscribe("t"));
    await until("it is subscribed", () => this.text.includes("ACK"));
    this.#connection!.pauseReading();
  }
}

try {
  for (let stalled = 0; stalled < readers; stalled += AT_ONCE) {
    await Promise.all(
      Array.from({ length: AT_ONCE }, async () => (await Client.greeted()).stall()),
    );
  }
  const publisher = await Client.greeted();
  const before = memoryBytes("VmRSS");
  for (let sent = 0; sent < publishedBytes; sent += PADDING.length) {
    publisher.text = "";
    publisher.send(publishForReceipt(`{"topic":"t","data":"${PADDING}"}`));
    await until("it is published", () => publisher.text.includes("receipt"));
  }
  await quiet(1_000);
  console.log(memoryBytes("VmHWM") - before);
} finally {
  await server.dispose();
}
process.exit(0);
