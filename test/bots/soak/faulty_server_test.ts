import { assert, assertEquals } from "@std/assert";
import { type AddressInfo, connect, createServer, type Server } from "node:net";
import { describe, it } from "node:test";
import type { SoakRun } from "../../../bots/soak/report.ts";
import { soak } from "../../../bots/soak/soak.ts";
import { join } from "../../support/bytes.ts";
import { withServer } from "../../support/janus_bed.ts";

const TERMINATOR = 1;

/** One message in so many is meddled with. */
const ONE_IN = 50;

/** What is sent instead of a message. */
type Meddling = (message: Uint8Array) => Uint8Array;

/** Soaks a server that is behind a relay which meddles with some of what it sends. */
async function soakMeddledWith(meddle: Meddling): Promise<SoakRun> {
  let run: SoakRun | undefined;
  await withServer({}, async (bed) => {
    const relay = await startRelay(bed.port, meddle);
    run = await soak({
      name: "meddled with",
      runtimeVersion: null,
      door: "open",
      keys: null,
      renew: null,
      resetsWhenRenewed: false,
      target: { hostname: "127.0.0.1", port: (relay.address() as AddressInfo).port },
      pid: null,
      stop: null,
    }, {
      durationMs: 2_000,
      subscribers: 40,
      killEveryMs: null,
      attackColumns: 5,
      seed: 1,
      patienceMs: 1_000,
      onProgress() {},
    });
    relay.close();
  });
  return run!;
}

async function startRelay(port: number, meddle: Meddling): Promise<Server> {
  let messages = 0;
  const relay = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    const server = connect({ host: "127.0.0.1", port, allowHalfOpen: true, noDelay: true });
    let partial: Uint8Array = new Uint8Array(0);
    client.on("data", (chunk) => server.write(chunk));
    client.on("end", () => server.end());
    server.on("end", () => client.end());
    server.on("data", (chunk: Uint8Array) => {
      const bytes = join([partial, chunk]);
      let start = 0;
      for (let end; (end = bytes.indexOf(TERMINATOR, start) + 1) > 0; start = end) {
        const frame = bytes.subarray(start, end);
        const isMessage = frame.indexOf(0x73) !== -1 && frame.length > 90;
        const isNext = isMessage && ++messages % ONE_IN === 0;
        client.write(isNext ? meddle(frame.slice()) : frame);
      }
      partial = bytes.slice(start);
    });
    for (const [one, other] of [[client, server], [server, client]] as const) {
      one.on("error", () => other.destroy());
      one.on("close", () => other.destroy());
    }
  });
  await new Promise<void>((resolve) => relay.listen(0, "127.0.0.1", resolve));
  return relay;
}

describe("the soak of a faulty server", () => {
  it("finds what is lost, what comes twice and what is damaged", { timeout: 120_000 }, async () => {
    let times = 0;
    const { passed, faults, fault_details } = await soakMeddledWith((message) => {
      switch (times++ % 3) {
        case 0:
          return new Uint8Array(0);
        case 1:
          return join([message, message]);
        default:
          message[message.length - 4]! ^= 0x02;
          return message;
      }
    });
    assertEquals(passed, false, fault_details.join("\n"));
    for (const kind of ["missing", "duplicate", "damaged", "receipt"] as const) {
      assert((faults[kind] ?? 0) > 0, `nothing ${kind}: ${fault_details.join("\n")}`);
    }
  });
});
