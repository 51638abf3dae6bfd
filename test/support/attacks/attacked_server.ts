// A server with the flags of the command, in a process of its own, that tells how it is when asked.

import { openSync, readSync } from "node:fs";
import process from "node:process";
import { createInterface } from "node:readline";
import { detectRuntime } from "../../../runtime/detect.ts";
import { descriptorLimit } from "../../../host/descriptor_limit.ts";
import { configureLog, logEvents } from "../../../server/log/log.ts";
import { parseCommand } from "../../../server/command/options.ts";
import { completeLimits } from "../../../server/serve.ts";
import { Server } from "../../../server/server.ts";
import type { ServerState } from "./attack_bed.ts";

const command = parseCommand(process.argv.slice(2));
if (command.does !== "serve") throw new TypeError(`not a server: ${command.does}`);
const { host, port, webSocket, logLevel, logFormat, limits } = command.options;
await configureLog(logLevel, logFormat);
// The system's `maxRSS` begins with that of the process which started this one. Opened now, since
// there may be no descriptors later.
const status = process.platform === "linux" ? openSync("/proc/self/status", "r") : undefined;
const buffer = new Uint8Array(8192);
const decoder = new TextDecoder();

const server = new Server(await detectRuntime(), completeLimits(limits), logEvents(), {
  descriptorLimit: descriptorLimit(),
});
const address = await server.listen({ transport: "tcp", hostname: host, port });
if (address.transport !== "tcp") throw new TypeError("the server isn't on TCP");
const ports = [address.port];
if (webSocket !== undefined) {
  const options = { transport: "tcp", hostname: host, port: webSocket.port } as const;
  const opened = await server.listenForWebSockets(options, webSocket.origins);
  if (opened.transport === "tcp") ports.push(opened.port);
}
console.log(ports.join(" "));

let peakHeldBytes = 0;
setInterval(() => peakHeldBytes = Math.max(peakHeldBytes, server.heldBytes), 5);

const lines = createInterface({ input: process.stdin });
lines.on("line", () => {
  const { counters, heldBytes, topicCount } = server;
  const state: ServerState = {
    counters,
    heldBytes,
    peakHeldBytes,
    peakRssBytes: peakRssBytes(),
    topicCount,
  };
  console.log(JSON.stringify(state));
});
lines.on("close", async () => {
  await server.stop();
  process.exit(0);
});

function peakRssBytes(): number {
  if (status === undefined) return process.resourceUsage().maxRSS * 1024;
  const text = decoder.decode(buffer.subarray(0, readSync(status, buffer, 0, buffer.length, 0)));
  return Number(/VmHWM:\s*(\d+)/.exec(text)?.[1]) * 1024;
}
