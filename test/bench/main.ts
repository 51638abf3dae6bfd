/**
 * What the parts cost by themselves, without sockets: `deno task bench` or
 * `bun run test/bench/main.ts`. For the whole, see `fanout.ts`.
 *
 * @module
 */

import process from "node:process";
import { runCases } from "./cases.ts";
import { fanOutCases } from "./fan_out_bench.ts";
import { PROTOCOL_CASES } from "./protocol_bench.ts";

await runCases("The wire format", PROTOCOL_CASES);
await runCases("Topics and sessions, on the runtime in memory", await fanOutCases());

// The benchmark's server still sweeps.
process.exit(0);
