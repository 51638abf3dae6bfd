import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { spawn } from "node:child_process";
import { describe, it } from "node:test";
import { PROJECT_ROOT } from "../../../cli/program.ts";
import { detectRuntime } from "../../../runtime/detect.ts";
import type { ServerEvents } from "../../../server/events.ts";
import type { RunningServer } from "../../../server/running_server.ts";
import { serve } from "../../../server/serve.ts";
import { FIRST, identityFile } from "../../support/identities.ts";
import { runCommand } from "../../support/processes/fixture.ts";

const timeout = 60_000;

const SILENT: ServerEvents = { onSessionEnd: () => {}, onAcceptError: () => {} };

/** The bots' command on this runtime, to its end. */
function bots(...args: readonly string[]) {
  const [program, ...rest] = [...runCommand, "bots/main.ts", ...args];
  const child = spawn(program!, rest, { cwd: PROJECT_ROOT });
  let stdout = "";
  let stderr = "";
  child.stdout!.on("data", (text) => stdout += text);
  child.stderr!.on("data", (text) => stderr += text);
  return new Promise<{ status: number | null; stdout: string; stderr: string }>((resolve) => {
    child.once("close", (status) => resolve({ status, stdout, stderr }));
  });
}

async function withServer(
  isSecure: boolean,
  test: (server: RunningServer, port: number) => Promise<void>,
): Promise<void> {
  const server = await serve({
    hostname: "127.0.0.1",
    port: 0,
    webSocket: {},
    events: SILENT,
    runtime: await detectRuntime(),
    limits: { maxConnections: 1000 },
    ...(isSecure ? { tls: FIRST } : {}),
  });
  try {
    const address = server.webSocketAddress;
    await test(server, address?.transport === "tcp" ? address.port : NaN);
  } finally {
    await server.close();
  }
}

describe("the bots over WebSocket", () => {
  it("receive what is published, in one process or several", { timeout }, async () => {
    await withServer(false, async (_server, port) => {
      for (const processes of ["1", "2"]) {
        const flags = ["--rounds", "2", "--processes", processes];
        const { stdout, stderr } = await bots("100", `ws://127.0.0.1:${port}`, ...flags);
        // On a busy machine it's no valid measure, but all must have come.
        assertMatch(stdout, /n: 100, good: 100, bad: 0/, stderr);
      }
    });
  });

  it("do so with TLS too", { timeout }, async () => {
    await withServer(true, async (_server, port) => {
      const ca = ["--ca", identityFile("first", "crt")];
      const { stdout, stderr } = await bots("20", `wss://localhost:${port}`, ...ca);
      assertMatch(stdout, /n: 20, good: 20, bad: 0/, stderr);
    });
  });

  it("say what the port must be that they can't use", { timeout }, async () => {
    await withServer(false, async ({ address }) => {
      const port = address.transport === "tcp" ? address.port : NaN;
      const { status, stderr } = await bots("1", `ws://127.0.0.1:${port}`);
      assertEquals(status, 1);
      assertStringIncludes(stderr, "--ws-port");
    });
  });
});
