/**
 * An agent whose clock is wrong.
 *
 *   skewed_agent.ts MILLISECONDS [flags of an agent]
 *
 * @module
 */

import process from "node:process";
import { serveAsAgent } from "../../../bots/agents/serve.ts";
import { parseCommand } from "../../../bots/run/options.ts";
import { detectRuntime } from "../../../runtime/detect.ts";

const [milliseconds, ...args] = process.argv.slice(2);
// All that the bots know of the time is how long it was, since this, by an even clock.
Object.defineProperty(performance, "timeOrigin", {
  value: performance.timeOrigin + Number(milliseconds),
});
const command = parseCommand(args);
if (command.does === "serve") await serveAsAgent(await detectRuntime(), command.options);
