import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { spawn, spawnSync } from "node:child_process";
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import process from "node:process";
import { describe, it } from "node:test";
import type { RuntimeName } from "../../../cli/program.ts";
import { FIRST, identityFile, SECOND } from "../../support/identities.ts";
import { directCommand, ServerCommand } from "../../support/processes/server_command.ts";
import { TESTED_RUNTIMES } from "../../support/processes/tested_runtimes.ts";
import { TlsClient } from "../../support/clients/tls_client.ts";
import { until } from "../../support/until.ts";

const hasOpenssl = spawnSync("openssl", ["version"]).status === 0;

/** Runs the command without input, and returns all that it says. */
async function openssl(args: readonly string[]): Promise<string> {
  const child = spawn("openssl", args, { stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  for (const output of [child.stdout, child.stderr]) {
    output.setEncoding("utf8").on("data", (text: string) => said += text);
  }
  let isOver = false;
  child.on("close", () => isOver = true);
  await until("openssl has ended", () => isOver);
  return said;
}

/** The output of OpenSSL's client with these flags. */
const HANDSHAKES: readonly (readonly [RegExp, ...string[]])[] = [
  [/Cipher is TLS_AES_256_GCM_SHA384\n/, "-tls1_3"],
  [/Cipher is ECDHE-ECDSA-AES256-GCM-SHA384\n/, "-tls1_2"],
  [/Cipher is ECDHE-ECDSA-CHACHA20-POLY1305\n/, "-tls1_2", "-cipher", "CHACHA20"],
  [/alert handshake failure/, "-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0"],
  [/alert handshake failure/, "-tls1_2", "-cipher", "ECDHE-ECDSA-AES256-SHA384:@SECLEVEL=0"],
  [/alert handshake failure/, "-tls1_2", "-cipher", "AES128-GCM-SHA256:AES128-SHA:@SECLEVEL=0"],
  [/alert (handshake failure|protocol version)/, "-tls1_1", "-cipher", "ALL:@SECLEVEL=0"],
];

/** A server on TLS, and the files it reads. */
interface Bed {
  readonly server: ServerCommand;
  readonly cert: string;
  /** Puts other files in the place of the server's, and tells it. */
  renew(name: "first" | "second"): void;
  /** Clients to be disposed of. */
  readonly clients: TlsClient[];
}

async function withTls(
  runtime: RuntimeName,
  flags: readonly string[],
  test: (bed: Bed) => Promise<void>,
): Promise<void> {
  const folder = mkdtempSync("/tmp/hotwheels-tls-");
  const cert = join(folder, "server.crt");
  const key = join(folder, "server.key");
  const place = (name: "first" | "second") => {
    copyFileSync(identityFile(name, "crt"), cert);
    copyFileSync(identityFile(name, "key"), key);
  };
  place("first");
  const clients: TlsClient[] = [];
  try {
    const server = await ServerCommand.listening(
      runtime,
      ["--tls-cert", cert, "--tls-key", key, ...flags],
    );
    const renew = (name: "first" | "second") => {
      place(name);
      process.kill(server.pid, "SIGHUP");
    };
    try {
      await test({ server, cert, renew, clients });
    } finally {
      for (const client of clients) client.dispose();
      await server.dispose();
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
}

for (const runtime of TESTED_RUNTIMES) {
  describe(`TLS on ${runtime}`, () => {
    for (const workers of [1, 2]) {
      it(`serves and is renewed without losing a client, workers: ${workers}`, {
        timeout: 60_000,
      }, async () => {
        await withTls(runtime, ["--workers", `${workers}`], async (bed) => {
          const { server, clients } = bed;
          for (let i = 0; i < 8; i++) {
            clients.push(await TlsClient.subscribed(server.port, FIRST));
          }
          clients[0]!.publish("before");
          for (const client of clients) await client.hears("before");

          bed.renew("second");
          await until("it is renewed", () => server.stderr.includes("the certificate is renewed"));
          const distrustful = await TlsClient.dial(server.port, FIRST);
          clients.push(distrustful);
          assertEquals([distrustful.isSecure, distrustful.isClosed], [false, true]);
          const late = await TlsClient.subscribed(server.port, SECOND);
          late.publish("after");
          for (const client of [...clients.slice(0, 8), late]) await client.hears("after");
          clients.push(late);

          writeFileSync(bed.cert, "nonsense");
          process.kill(server.pid, "SIGHUP");
          await until("it says so", () => server.stderr.includes("is not renewed"));
          assertMatch(server.stderr, /the old one stays: .*no PEM text/);
          const later = await TlsClient.subscribed(server.port, SECOND);
          clients.push(later);
          later.publish("still");
          for (const client of clients.slice(0, 8)) await client.hears("still");

          server.signal("SIGTERM");
          const exit = await server.exited();
          assertEquals([exit.status, exit.signal], [0, null]);
          assertStringIncludes(later.frames.join(), "server_shutdown");
        });
      });
    }

    it("ends who doesn't speak it, and who leaves a handshake hanging", {
      timeout: 60_000,
    }, async () => {
      const flags = ["--idle-timeout", "1s", "--max-connections", "1"];
      await withTls(runtime, flags, async ({ server, clients }) => {
        const speak = async (text: string) => {
          const peer = connect({ host: "127.0.0.1", port: server.port });
          let isOver = false;
          peer.on("error", () => {});
          peer.on("close", () => isOver = true);
          peer.resume();
          peer.write(text);
          await until("the server ends it", () => isOver);
        };
        await speak('{"action":"subscribe","data":"t"}\0');
        const logs = (words: RegExp) => until("it is logged", () => words.test(server.stderr));
        await logs(/closed 127\.0\.0\.1:\d+: handshake_failed/);
        // The beginning of a handshake, and no more.
        await speak("\x16\x03\x01\x02");
        await logs(/closed 127\.0\.0\.1:\d+: idle_timeout.*No handshake within 1 s/);
        // Its place is free again.
        const client = await TlsClient.subscribed(server.port, FIRST);
        clients.push(client);
        client.publish("well");
        await client.hears("well");
        const other = await TlsClient.dial(server.port, FIRST);
        clients.push(other);
        assertStringIncludes(other.frames[0]!, "too_many_connections");
      });
    });

    it("speaks TLS 1.2 and 1.3 with modern suites, and says so to who has others", {
      timeout: 60_000,
      skip: hasOpenssl ? false : "there is no openssl on the PATH",
    }, async () => {
      await withTls(runtime, [], async ({ server }) => {
        for (const [words, ...flags] of HANDSHAKES) {
          const said = await openssl([
            "s_client",
            "-connect",
            `127.0.0.1:${server.port}`,
            ...flags,
          ]);
          assertMatch(said, words, flags.join(" "));
        }
        await until("it's logged", () => server.stderr.match(/handshake_failed/g)?.length === 4);
      });
    });

    it("tells all of a burst that it is full, but for those of 2009", {
      timeout: 60_000,
    }, async () => {
      await withTls(runtime, ["--max-connections", "1"], async ({ server, clients }) => {
        clients.push(await TlsClient.subscribed(server.port, FIRST));
        const burst = await Promise.all(Array.from({ length: 60 }, (_, i) => {
          return TlsClient.dial(server.port, FIRST, i % 2 === 0 ? "<regular-socket/>\0" : "");
        }));
        clients.push(...burst);
        await until("all are closed", () => burst.every(({ isClosed }) => isClosed), 30_000);
        for (const [i, { frames, isSecure, failure }] of burst.entries()) {
          assertEquals([isSecure, failure, frames.length], [true, undefined, i % 2]);
          if (i % 2 === 1) assertStringIncludes(frames[0]!, "too_many_connections");
        }
      });
    });

    it("says what is wrong with the files", async () => {
      for (
        const [flags, status, words] of [
          [["--tls-cert", "/tmp/x.crt"], 2, /^hotwheels: --tls-cert needs --tls-key too\n$/],
          [
            ["--tls-cert", "/tmp/missing.crt", "--tls-key", "/tmp/missing.key"],
            1,
            /^hotwheels: can't read --tls-cert \/tmp\/missing\.crt: .+\n$/,
          ],
        ] as const
      ) {
        const server = new ServerCommand(directCommand(runtime), ["--port", "0", ...flags]);
        const exit = await server.exited();
        assertEquals(exit.status, status);
        assertMatch(exit.stderr, words);
        assert(!exit.stdout.includes("listening"));
      }
    });
  });
}
