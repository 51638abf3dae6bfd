import { describe } from "node:test";
import { MemoryRuntime } from "../../support/memory/memory_runtime.ts";
import type { Capabilities } from "./bed.ts";
import { conformance } from "./conformance.ts";

const capabilities: Capabilities = {
  dialRawPeer: (runtime, address) => Promise.resolve((runtime as MemoryRuntime).dial(address)),
  settled: (runtime) => (runtime as MemoryRuntime).settled(),
  lacks: {
    "accept errors": "nothing in memory fails to be accepted",
    "deep backlog": "in memory nobody waits to be accepted",
    "IPv6": "in memory there are no address families",
    "keep-alive": "in memory there is no kernel to look for peers",
    "names": "in memory there is no name service",
    "processes": "memory is not shared between processes",
    "reusePort": "one process has no use for a shared port",
    "system addresses": "in memory every address is available",
    "TLS": "in memory there is no TLS",
    "Unix files": "in memory a path is a name only",
    "reads in turns": "in memory everything is read at once",
    "waiting accepts": "in memory nobody waits to be accepted",
  },
};

for (const answers of ["at once", "late"] as const) {
  describe(`in memory, writes answered ${answers}`, () => {
    conformance(() => Promise.resolve(new MemoryRuntime({ answers })), capabilities);
  });
}

describe("in memory, buffers of 10,000 bytes", () => {
  conformance(() => Promise.resolve(new MemoryRuntime({ bufferBytes: 10_000 })), capabilities);
});
