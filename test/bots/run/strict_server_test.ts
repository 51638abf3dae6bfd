import { assertEquals } from "@std/assert";
import { describe, it } from "node:test";
import { measure } from "../../../bots/measure.ts";
import type { BotsOptions } from "../../../bots/run/options.ts";
import type { BotsReport } from "../../../bots/results/report.ts";
import { detectRuntime } from "../../../runtime/detect.ts";
import { StrictJanusServer, type StrictScript } from "../../support/clients/strict_janus_server.ts";
import { OPTIONS } from "./scripted_run.ts";

/** Runs bots against a strict server; what it hung up on must be nothing. */
async function play(
  script: StrictScript,
  options: Partial<BotsOptions> = {},
): Promise<{ report: BotsReport; server: StrictJanusServer }> {
  const server = await StrictJanusServer.start(script);
  const observer = { onFindings() {}, onStart: () => ({ update() {}, stop() {} }) };
  try {
    const run = { ...OPTIONS, ...options, port: server.port };
    const report = await measure(await detectRuntime(), run, [], observer);
    assertEquals(server.hungUpOn, []);
    return { report, server };
  } finally {
    await server.stop();
  }
}

describe("bots at a server as strict as that of 2009", { timeout: 60_000 }, () => {
  it("are all good, 200 of 200, round after round", async () => {
    const { report, server } = await play({}, { n: 200, rounds: 3 });
    assertEquals([report.good, report.rounds.map(({ good }) => good)], [200, [200, 200, 200]]);
    assertEquals(report.setup.failed_attempts, {});
    const counts: Record<string, number> = {};
    for (const frame of server.frames) counts[frame] = (counts[frame] ?? 0) + 1;
    assertEquals(counts, {
      PING: 200,
      '{"action":"subscribe","data":"events"}': 200,
      '{"action":"unsubscribe","data":"events"}': 200,
      PUBLISH: 3,
      '{"topic":"events","event":"test_event","message_id":"","data":"test"}': 3,
    });
  });

  it("outlive a PING, and give no answer, since none of 2009 ever did", async () => {
    const { report, server } = await play({
      onSubscribe: (socket) => socket.write("PING\x01ACK\x01PING\x01"),
      onPublish(frame, subscribers) {
        for (const socket of subscribers) socket.write(`PING\x01${frame}PING\x01`);
      },
    }, { rounds: 2 });
    assertEquals([report.good, server.frames.includes("PONG")], [4, false]);
  });

  for (const token of ['"4b8e76"', "[52,98]", "7", "null", "{}", '{"topic":[]}', "false"]) {
    it(`take ${token} for a token`, async () => {
      assertEquals((await play({ token })).report.good, 4);
    });
  }
});
