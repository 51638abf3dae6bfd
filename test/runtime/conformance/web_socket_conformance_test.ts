import { describe } from "node:test";
import { detectRuntime } from "../../../runtime/detect.ts";
import { dialRawPeer } from "../../support/clients/raw_peer.ts";
import { leftTo } from "../../support/processes/tested_runtimes.ts";
import { MemoryRuntime } from "../../support/memory/memory_runtime.ts";
import { dialRawWebSocket, WebSocketRuntime } from "../../support/web_socket/web_socket_runtime.ts";
import type { Feature, Wire } from "./bed.ts";
import { Cases } from "./bed.ts";
import { endingCases } from "./ending_cases.ts";
import { readingCases } from "./reading_cases.ts";
import { resetCases } from "./reset_cases.ts";
import { writingCases } from "./writing_cases.ts";

// Listeners and the loop are the runtime's own; what's asked here is what holds for connections.
function connectionCases(cases: Cases, wires: readonly Wire[]): void {
  for (const wire of wires) {
    describe(`a WebSocket over ${wire}`, () => {
      describe("writes", () => writingCases(cases, wire));
      describe("reads", () => readingCases(cases, wire));
      describe("ends", () => endingCases(cases, wire));
      if (wire !== "unix") describe("reset", () => resetCases(cases, wire));
    });
  }
}

const lacks: { -readonly [feature in Feature]?: string } = {
  "arrived bytes": "what has arrived is frames, not yet bytes",
  "processes": "the peers that leave early don't speak WebSocket",
};
if ((await detectRuntime()).name === "bun") {
  lacks["accept errors"] = "Bun says nothing of accepts that fail for want of descriptors";
  lacks["reads in turns"] = "Bun reads all that is there when it looks";
}

const cases = new Cases(async () => new WebSocketRuntime(await detectRuntime()), {
  dialRawPeer: (_runtime, address, tls) => dialRawWebSocket(dialRawPeer, address, tls),
  lacks,
});
connectionCases(cases, ["tcp", "tls"]);

// No runtime has a part in these.
for (const answers of ["at once", "late"] as const) {
  describe(`in memory, writes answered ${answers}`, { skip: leftTo("bun") }, () => {
    const inMemory = new Cases(
      () => Promise.resolve(new WebSocketRuntime(new MemoryRuntime({ answers }))),
      {
        dialRawPeer: (runtime, address) => {
          const net = (runtime as WebSocketRuntime).below as MemoryRuntime;
          return dialRawWebSocket((to) => Promise.resolve(net.dial(to)), address);
        },
        settled: (runtime) => ((runtime as WebSocketRuntime).below as MemoryRuntime).settled(),
        lacks: {
          ...lacks,
          "reads in turns": "in memory everything is read at once",
          "TLS": "in memory there is no TLS",
        },
      },
    );
    connectionCases(inMemory, ["tcp"]);
  });
}
