/**
 * This project's server, held back on purpose.
 *
 * @module
 */

import { changedRuntime } from "../../support/changed_runtime.ts";
import { detectRuntime } from "../../../runtime/detect.ts";
import type { Accept, Runtime } from "../../../runtime/types.ts";
import type { RunningServer } from "../../../server/running_server.ts";
import { serve } from "../../../server/serve.ts";

/** Starts the server in this process, on a free port; what is published takes it so much longer. */
export async function serveHeldBack(ms: number): Promise<RunningServer & { port: number }> {
  const runtime = heldBack(await detectRuntime(), ms);
  const server = await serve({
    runtime,
    hostname: "127.0.0.1",
    port: 0,
    events: { onSessionEnd() {}, onAcceptError() {} },
  });
  const { address } = server;
  if (address.transport !== "tcp") throw new Error("the server listens elsewhere");
  return { ...server, port: address.port };
}

function heldBack(runtime: Runtime, ms: number): Runtime {
  const held = (accept: Accept): Accept => (connection) => {
    const handler = accept(connection);
    return {
      onData(chunk) {
        if (new TextDecoder().decode(chunk).includes("PUBLISH")) sleep(ms);
        handler.onData(chunk);
      },
      onDrain: () => handler.onDrain(),
      onEnd: () => handler.onEnd(),
      onClose: (why, cause) => handler.onClose(why, cause),
    };
  };
  return changedRuntime(runtime, {
    listen: (options, accept) => runtime.listen(options, held(accept)),
  });
}

/** Does nothing, and lets nothing else of this process be done. */
function sleep(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}
