import { assertEquals, assertMatch } from "@std/assert";
import { spawn } from "node:child_process";
import { describe, it } from "node:test";
import { PROJECT_ROOT } from "../../../cli/program.ts";
import { detectRuntime } from "../../../runtime/detect.ts";
import { serve } from "../../../server/serve.ts";
import type { ServerEvents } from "../../../server/events.ts";
import { runCommand } from "../../support/processes/fixture.ts";
import { FIRST, identityFile } from "../../support/identities.ts";
import { REPEATS_TIMEOUT_MS, untilValid } from "../results/valid_run.ts";

const SILENT: ServerEvents = { onSessionEnd: () => {}, onAcceptError: () => {} };

interface Ended {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** The bots' command on this runtime, to its end. */
function bots(...args: (string | number)[]): Promise<Ended> {
  const [program, ...rest] = [...runCommand, "bots/main.ts", ...args.map(String)];
  const child = spawn(program!, rest, { cwd: PROJECT_ROOT });
  let stdout = "";
  let stderr = "";
  child.stdout!.on("data", (text) => stdout += text);
  child.stderr!.on("data", (text) => stderr += text);
  return new Promise((resolve) => {
    child.once("close", (status) => resolve({ status, stdout, stderr }));
  });
}

async function withServer(isSecure: boolean, test: (port: number) => Promise<void>): Promise<void> {
  const server = await serve({
    hostname: "127.0.0.1",
    port: 0,
    events: SILENT,
    runtime: await detectRuntime(),
    limits: { maxConnections: 1000 },
    ...(isSecure ? { tls: FIRST } : {}),
  });
  try {
    if (server.address.transport === "tcp") await test(server.address.port);
  } finally {
    await server.close();
  }
}

describe("the bots over TLS", () => {
  const ca = ["--tls", "--ca", identityFile("first", "crt")] as const;

  it(
    "receive what is published, in one process or several",
    { timeout: REPEATS_TIMEOUT_MS },
    async () => {
      await withServer(true, async (port) => {
        for (const processes of [1, 2]) {
          const flags = [...ca, "--rounds", 2, "--processes", processes];
          const run = () => bots(100, "localhost", port, ...flags);
          const { status, stdout, stderr } = await untilValid(run);
          assertEquals(stderr.includes("bots:"), false, stderr);
          assertMatch(stdout, /n: 100, good: 100, bad: 0/);
          assertEquals(status, 0);
        }
      });
    },
  );

  it(
    "believe no other server, and say what is wrong in one line",
    { timeout: 60_000 },
    async () => {
      const wrong = ["--tls", "--ca", identityFile("second", "crt")];
      const says =
        /^bots: cannot connect to 127\.0\.0\.1:\d+: the TLS handshake failed \(.+\); --tls .+--ca.+\n$/;
      await withServer(true, async (port) => {
        const outcomes = await Promise.all([
          bots(5, "localhost", port, ...wrong),
          bots(5, "localhost", port, "--tls"),
          bots(5, "127.0.0.2", port, ...ca),
        ]);
        for (const { status, stderr } of outcomes.slice(0, 2)) {
          assertEquals(status, 1);
          assertMatch(stderr, says);
        }
        assertEquals(outcomes[2]!.status, 1);
      });
      await withServer(false, async (port) => {
        const { status, stderr } = await bots(5, "localhost", port, ...ca);
        assertEquals(status, 1);
        assertMatch(stderr, says);
      });
    },
  );

  it("want flags that fit", async () => {
    for (
      const [args, status, words] of [
        [["--ca", "x.pem"], 2, /^bots: --ca is for --tls; give that too\n$/],
        [[1, "nats://localhost", "--tls"], 2, /^bots: --tls is for Janus servers; .+\n$/],
        [
          ["--tls", "--ca", "/tmp/missing.pem"],
          1,
          /^bots: can't read --ca \/tmp\/missing.pem: .+\n$/,
        ],
        [
          ["--tls", "--ca", "LICENSE"],
          1,
          /^bots: --ca LICENSE holds no certificate as PEM text\n$/,
        ],
      ] as const
    ) {
      const ended = await bots(...args);
      assertEquals(ended.status, status);
      assertMatch(ended.stderr, words);
    }
  });
});
