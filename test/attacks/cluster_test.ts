import { connect } from "@nats-io/transport-node";
import {
  assert,
  assertEquals,
  assertGreater,
  assertLess,
  assertLessOrEqual,
  assertMatch,
} from "@std/assert";
import process from "node:process";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { LinkEncoder } from "../../server/cluster/link_frames.ts";
import {
  BATCH_HEADER_BYTES,
  encodeFrame,
  sealBatch,
} from "../../server/machines/wire/frame_codec.ts";
import { HOLE, REFILL, STATE } from "../../server/machines/wire/frames.ts";
import { readProcesses } from "../../tools/harness/process_table.ts";
import { scrape } from "../support/clients/admin_client.ts";
import { JanusClient, message } from "../support/clients/janus_client.ts";
import { FarHost, whyNoFarHost } from "../support/network/far_host.ts";
import { NatsServer, skipNats } from "../support/processes/nats_server.ts";
import { directCommand, ServerCommand } from "../support/processes/server_command.ts";
import { TESTED_RUNTIMES } from "../support/processes/tested_runtimes.ts";
import { until } from "../support/until.ts";
import { batchOf, stateOf } from "../server/machines/false_machine.ts";
import {
  hasAll,
  MachineServer,
  NumberPublisher,
  numbersOf,
  withMachines,
} from "../server/machines/nats_bed.ts";

const timeout = 120_000;

/** Far more than a machine may keep, and the most that its memory may grow while garbage waits. */
const FLOOD_BYTES = 140_000_000;
const MOST_BYTES = 130_000_000;

const noMemory = process.platform === "linux" ? false : "the most memory ever taken is Linux's";

/** The most bytes that a machine ever had resident. */
function peakOf({ server }: MachineServer): number {
  return readProcesses(server.pid).reduce((sum, { peakBytes }) => sum + peakBytes!, 0);
}

const utf8 = new TextEncoder();
const STRANGER = "badbadbadbadbad0";

/** NATS drops whoever lets so much wait, or takes nothing for a second. */
const IMPATIENT = 'max_pending: 1MB\nwrite_deadline: "1s"\n';

for (const runtime of TESTED_RUNTIMES) {
  describe(`a machine that stands still, on ${runtime}`, { skip: skipNats }, () => {
    it("is dropped by NATS as a slow consumer, and misses nothing", { timeout }, async () => {
      await withMachines(runtime, [[], []], async ([a, b]) => {
        const here = await JanusClient.subscribed(a!.server, "t");
        const there = await JanusClient.subscribed(b!.server, "t");
        const publisher = await JanusClient.greeted(a!.server);
        publisher.send(`PUBLISH\0${message("t", [0, ""])}\0`);
        await until("both hear it", () => here.frames.length + there.frames.length === 2);
        process.kill(b!.server.pid, "SIGSTOP");
        const data = "x".repeat(50_000);
        for (let i = 1; i <= 400; i++) {
          await publisher.sent(`PUBLISH\0${message("t", [i, data])}\0`);
        }
        // It holds up nobody else.
        await until("the other one's client has all", () => here.frames.length === 401, 30_000);
        await sleep(3_000);
        process.kill(b!.server.pid, "SIGCONT");
        publisher.send(`PUBLISH\0${message("t", [401, ""])}\0`);
        await until("it has all", () => there.frames.length === 402, 60_000);
        const numbers = there.frames.map((frame) => JSON.parse(frame).data[0] as number);
        assertEquals(numbers, Array.from({ length: 402 }, (_, i) => i));
        const { cluster } = await b!.status();
        assertEquals(cluster.counts["holes"], 0);
        assertGreater(cluster.counts["refills"]!, 0);
        for (const client of [here, there, publisher]) client.close();
      }, IMPATIENT);
    });
  });

  const noNetwork = skipNats || whyNoFarHost();
  describe(`a machine that is cut off for 3 s, on ${runtime}`, { skip: noNetwork }, () => {
    it("misses nothing, and loses nothing that its own clients publish", { timeout }, async () => {
      const far = await FarHost.start();
      const nats = await NatsServer.start("", "0.0.0.0");
      const a = await MachineServer.start(runtime, nats);
      const url = `nats://${far.nearAddress}:${nats.port}`;
      const flags = ["--host", far.address, "--cluster", url];
      const b = await ServerCommand.listening(runtime, flags, [
        ...far.command,
        ...directCommand(runtime),
      ]);
      try {
        await a.sees(1);
        const target = { hostname: far.address, port: b.port };
        const readers = [
          await JanusClient.subscribed(a.server, "t", "u"),
          await JanusClient.subscribed(target, "t", "u"),
        ];
        const publishers = [
          await NumberPublisher.start(a, 5, "t"),
          await NumberPublisher.start({ server: target }, 5, "u"),
        ];
        await until("messages come", () => readers.every(({ frames }) => frames.length > 50));
        far.cut();
        await sleep(3_000);
        far.mend();
        await sleep(500);
        for (const publisher of publishers) publisher.stop();
        const total = publishers[0]!.count + publishers[1]!.count;
        for (const reader of readers) {
          await until("it has all", () => reader.frames.length >= total, 60_000);
          for (const [at, topic] of ["t", "u"].entries()) {
            const numbers = reader.frames.map((frame) => JSON.parse(frame))
              .filter((frame) => frame.topic === topic).map(({ data }) => data);
            assertEquals(numbers, Array.from({ length: publishers[at]!.count }, (_, i) => i));
          }
        }
        assertEquals(b.stderr.includes("are lost"), false, b.stderr);
        for (const publisher of publishers) publisher.close();
        for (const reader of readers) reader.close();
      } finally {
        await b.dispose();
        a.server.signal("SIGTERM");
        await a.server.exited();
        await nats.dispose();
        await far.stop();
      }
    });
  });

  describe(`the memory of a machine, on ${runtime}`, { skip: skipNats || noMemory }, () => {
    it("stays bounded while NATS takes nothing, and while it is away", { timeout }, async () => {
      const small = ["--cluster-log-bytes", "1048576"];
      await withMachines(runtime, [small, small], async ([a], nats) => {
        const before = peakOf(a!);
        const publisher = await JanusClient.greeted(a!.server);
        const flood = async () => {
          const frame = `PUBLISH\0${message("t", "x".repeat(50_000))}\0`.repeat(20);
          for (let sent = 0; sent < FLOOD_BYTES; sent += frame.length) await publisher.sent(frame);
          publisher.frames.splice(0);
          publisher.send('{"action":"publish","data":{"topic":"t"}}\0');
          await until("all is accepted", () => publisher.frames.length > 0, 60_000);
        };
        nats.signal("SIGSTOP");
        await flood();
        await nats.kill();
        await flood();
        assertLess(peakOf(a!) - before, MOST_BYTES);
        publisher.close();
      });
    });

    it("stays bounded where a stranger sends what can't be delivered", { timeout }, async () => {
      await withMachines(runtime, [[], []], async ([a, b], nats) => {
        const reader = await JanusClient.greeted(b!.server);
        reader.send('{"action":"subscribe","data":"t","resume":{}}\0');
        const publisher = await NumberPublisher.start(a!, 5);
        await until("messages come", () => reader.frames.length > 20);
        const origin = JSON.parse(reader.frames.find((frame) => frame.includes('"from"'))!).from
          .origin as string;
        const { machine } = (await b!.status()).cluster.members[0]!;
        const before = peakOf(b!);
        const stranger = await connect({ servers: `127.0.0.1:${nats.port}` });
        const data = message("t", "x".repeat(50_000));
        const nowMicros = Date.now() * 1000 + 60_000_000;
        for (let i = 0, sent = 0; sent < FLOOD_BYTES; i++, sent += data.length) {
          // In the machine's own name, far ahead of where it is: it waits, as if what is in between was lost.
          const encoder = new LinkEncoder(BATCH_HEADER_BYTES);
          const previous = nowMicros + 2 * i;
          encoder.append("t", previous + 1, utf8.encode(data), false);
          const frame = encoder.take();
          sealBatch(frame, machine, { origin, base: 0, previous });
          stranger.publish("hotwheels.hotwheels.all", frame);
          stranger.publish("hotwheels.hotwheels.all", "x".repeat(500));
          if (i % 50 === 0) await stranger.flush();
        }
        await stranger.flush();
        const had = reader.frames.length;
        await until("messages go on", () => reader.frames.length > had + 20, 30_000);
        assertLess(peakOf(b!) - before, MOST_BYTES);
        const held = (await scrape(b!.adminUrl)).get("hotwheels_cluster_held_bytes")!;
        assertLessOrEqual(held, 8 * 1024 * 1024);
        await stranger.close();
        publisher.close();
        reader.close();
      });
    });
  });

  describe(`a stranger on the cluster's subjects, on ${runtime}`, { skip: skipNats }, () => {
    it("ends nothing, delivers nothing in others' names, and is counted", { timeout }, async () => {
      await withMachines(runtime, [[], []], async ([a, b], nats) => {
        const reader = await JanusClient.greeted(b!.server);
        reader.send('{"action":"subscribe","data":"t","resume":{}}\0');
        await until("it is subscribed", () => reader.frames.length === 2);
        const { resume } = JSON.parse(reader.frames[0]!);
        const old = await JanusClient.subscribed(b!.server, "t");
        const publisher = await NumberPublisher.start(a!, 5);
        await until("messages come", () => old.frames.length > 20);
        const machine = (await b!.status()).cluster.members[0]!.machine;
        const origins = Object.keys(resume.at);
        assertEquals(origins.length, 2);

        const stranger = await connect({ servers: `127.0.0.1:${nats.port}` });
        const all = "hotwheels.hotwheels.all";
        const heard: Uint8Array[] = [];
        stranger.subscribe(all, { callback: (_, { data }) => void heard.push(data) });
        const say = (frame: Uint8Array | string) => stranger.publish(all, frame);
        await until("the stranger hears messages", () => heard.some((frame) => frame[3] === 1));

        say("garbage");
        say(new Uint8Array(0));
        say(new Uint8Array(100_000).fill(0x48));
        const newer = encodeFrame({ machine: STRANGER, kind: STATE, state: stateOf([]) });
        newer[2] = 9;
        say(newer);
        const nowMicros = Date.now() * 1000;
        const forged = { base: nowMicros, previous: nowMicros, micros: nowMicros + 1 };
        for (const origin of origins) {
          // Before it says who it is, and after that: both machines' processes are others'.
          say(batchOf(STRANGER, origin, forged, "forged"));
          say(encodeFrame({
            machine: STRANGER,
            kind: STATE,
            state: stateOf([{ name: origin, base: 0, last: nowMicros + 9 }]),
          }));
          say(batchOf(STRANGER, origin, forged, "forged"));
          const hole = { origin, after: 0, to: nowMicros };
          say(encodeFrame({ machine: STRANGER, kind: HOLE, hole }));
        }
        // A machine's own frames again, as old as they are, some damaged; and one far ahead of it.
        for (const frame of heard.filter((frame) => frame[3] === 1)) {
          say(frame);
          const damaged = frame.slice();
          damaged[damaged.length - 3] = 0x7d;
          say(damaged);
        }
        for (let i = 0; i < 500; i++) {
          const gaps = [{ after: 0, to: Infinity }];
          const wanted = { origin: origins[i % 2]!, gaps, maxBytes: 4_194_304 };
          say(encodeFrame({ machine: STRANGER, kind: REFILL, wanted }));
        }
        const ahead = origins.find((origin) => origin !== Object.keys(resume.at)[0])!;
        const previous = nowMicros + 60_000_000;
        say(batchOf(machine, ahead, { base: previous, previous, micros: previous + 1 }, "forged"));
        await stranger.flush();
        await until("messages go on", () => old.frames.length > 500, 30_000);
        publisher.stop();
        await hasAll(old, publisher.count);
        const got = numbersOf({
          frames: reader.frames.filter((frame) => frame.includes('"data"')),
        } as JanusClient);
        assertEquals(got, numbersOf(old).slice(0, got.length));
        assertEquals([reader.ended, old.ended], [null, null]);
        const samples = await scrape(b!.adminUrl);
        assertGreater(samples.get("hotwheels_cluster_rejected_frames_total")!, 5);
        assertEquals(samples.get("hotwheels_cluster_holes_total"), 0);
        assertEquals(samples.get("hotwheels_cluster_connected"), 1);
        assertMatch(b!.server.stderr, /sends version 9 .* understands version 1: .* upgrade/);
        assert(!b!.server.stderr.includes("forged"));
        await stranger.close();
        for (const client of [reader, old]) client.close();
        publisher.close();
      });
    });
  });
}
