import { assert, assertEquals, assertMatch } from "@std/assert";
import { spawnSync } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { TlsIdentity } from "../../../runtime/types.ts";
import { lifetimeWarnings } from "../../../server/command/tls_files.ts";
import { FIRST, identityFile, SECOND } from "../../support/identities.ts";
import { directCommand, ServerCommand } from "../../support/processes/server_command.ts";
import { TESTED_RUNTIMES } from "../../support/processes/tested_runtimes.ts";
import { TlsClient } from "../../support/clients/tls_client.ts";
import { until } from "../../support/until.ts";
import { skipWorkers, workersOf } from "../../support/processes/workers.ts";

const OWN_RUNTIME = TESTED_RUNTIMES[0]!;

const timeout = 60_000;

const DAY_MS = 24 * 3_600_000;

const hasOpenssl = spawnSync("openssl", ["version"]).status === 0;
const skip = hasOpenssl ? false : "there is no openssl on the PATH";

const folder = mkdtempSync(join(tmpdir(), "hotwheels-certificates-"));
after(() => rmSync(folder, { recursive: true }));

/** Keys of all kinds, by what makes them. Whether a runtime can use them is for it to say. */
const KINDS: Readonly<Record<string, readonly string[]>> = {
  "rsa-512": ["-newkey", "rsa:512"],
  "rsa-1024": ["-newkey", "rsa:1024"],
  "rsa-2048": ["-newkey", "rsa:2048"],
  "rsa-pss": ["-newkey", "rsa-pss", "-pkeyopt", "rsa_keygen_bits:2048"],
  "p-256": ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
  "secp256k1": ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:secp256k1"],
  "ed25519": ["-newkey", "ed25519"],
  "ed448": ["-newkey", "ed448"],
};

/** A key that passes for one as long as no handshake needs it. */
const UNUSABLE = OWN_RUNTIME === "deno" ? "secp256k1" : "rsa-512";

interface Files {
  readonly cert: string;
  readonly key: string;
}

function filesOf(kind: string): Files {
  return { cert: join(folder, `${kind}.crt`), key: join(folder, `${kind}.key`) };
}

function makeAll(): void {
  for (const [kind, how] of Object.entries(KINDS)) {
    const { cert, key } = filesOf(kind);
    const args = ["req", "-x509", "-nodes", ...how, "-days", "90", "-subj", "/CN=localhost"];
    const names = ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"];
    const { status, stderr } = spawnSync(
      "openssl",
      [...args, ...names, "-keyout", key, "-out", cert],
      { encoding: "utf8" },
    );
    assertEquals(status, 0, stderr);
  }
}

function flagsOf({ cert, key }: Files): string[] {
  return ["--tls-cert", cert, "--tls-key", key];
}

/** True if a client can connect. */
async function handshakes(port: number, { cert }: Files): Promise<boolean> {
  const identity = { cert: readFileSync(cert, "utf8"), key: "" };
  const client = await TlsClient.dial(port, identity);
  client.dispose();
  return client.frames.length > 0;
}

function countOf(text: string, words: string): number {
  return text.split(words).length - 1;
}

/** A server, and the files that it reads. */
class Bed {
  readonly server: ServerCommand;
  readonly files: Files;

  private constructor(server: ServerCommand, files: Files) {
    this.server = server;
    this.files = files;
  }

  static async with(
    flags: readonly string[],
    test: (bed: Bed) => Promise<void>,
  ): Promise<void> {
    const files = filesOf("served");
    place(firstFiles, files);
    const server = await ServerCommand.listening(OWN_RUNTIME, [...flagsOf(files), ...flags]);
    try {
      await test(new Bed(server, files));
    } finally {
      await server.dispose();
    }
  }

  /** Has the server read other files, and waits for what it says. */
  async renew(files: Files): Promise<"renewed" | "refused"> {
    const { server } = this;
    const [good, bad] = ["the certificate is renewed", "the certificate is not renewed"];
    const before = [countOf(server.stderr, good), countOf(server.stderr, bad)];
    place(files, this.files);
    process.kill(server.pid, "SIGHUP");
    await until("it says what came of it", () => {
      return countOf(server.stderr, good) > before[0]! ||
        countOf(server.stderr, bad) > before[1]! ||
        server.hasExited;
    });
    assertEquals(server.hasExited, false, server.stderr);
    return countOf(server.stderr, good) > before[0]! ? "renewed" : "refused";
  }

  /** True if many clients, on all workers, meet that identity. */
  async meets(identity: TlsIdentity): Promise<boolean> {
    const clients = await Promise.all(
      Array.from({ length: 12 }, () => TlsClient.dial(this.server.port, identity)),
    );
    for (const client of clients) client.dispose();
    return clients.every(({ frames }) => frames.length > 0);
  }
}

const firstFiles = { cert: identityFile("first", "crt"), key: identityFile("first", "key") };
const secondFiles = { cert: identityFile("second", "crt"), key: identityFile("second", "key") };

function place(from: Files, to: Files): void {
  copyFileSync(from.cert, to.cert);
  copyFileSync(from.key, to.key);
}

describe(`a certificate on ${OWN_RUNTIME}`, { skip }, () => {
  before(makeAll);

  it("is taken when handshakes succeed by it, and else refused in one line", {
    timeout,
  }, async () => {
    const usable: string[] = [];
    await Bed.with([], async (bed) => {
      for (const kind of Object.keys(KINDS)) {
        if (await bed.renew(filesOf(kind)) === "renewed") usable.push(kind);
        else assertMatch(bed.server.stderr, /not renewed, the old one stays: [^\n]+\n$/);
        const inForce = usable.length === 0 ? firstFiles : filesOf(usable.at(-1)!);
        assert(await handshakes(bed.server.port, inForce), `${kind}: ${bed.server.stderr}`);
      }
    });
    for (const kind of ["rsa-2048", "p-256", "ed25519"]) assert(usable.includes(kind), kind);
    for (const kind of ["rsa-512", "rsa-1024"]) assert(!usable.includes(kind), kind);
    if (OWN_RUNTIME === "deno") assertEquals(usable.includes("secp256k1"), false);
    const { status, stderr } = await new ServerCommand(directCommand(OWN_RUNTIME), [
      ...["--port", "0", ...flagsOf(filesOf(UNUSABLE))],
    ]).exited();
    assertEquals(status, 1);
    assertMatch(stderr, /^hotwheels: --tls-cert [^\n]*can't be used[^\n]*\n$/);
  });

  it("that has expired is taken, and warned of", { timeout }, async () => {
    const files = { cert: identityFile("expired", "crt"), key: identityFile("expired", "key") };
    await Bed.with([], async (bed) => {
      assertEquals(await bed.renew(files), "renewed");
      assertMatch(
        bed.server.stderr,
        /\[warning\] hotwheels: --tls-cert [^\n]*: the certificate expired on [^\n]+\n/,
      );
    });
    const server = await ServerCommand.listening(OWN_RUNTIME, flagsOf(files));
    assertMatch(server.stderr, /^hotwheels: --tls-cert [^\n]*: the certificate expired on /m);
    await server.dispose();
  });

  it("that can't be used ends nothing while a worker drains", {
    timeout,
    skip: skipWorkers,
  }, async () => {
    await Bed.with(["--workers", "2", "--drain-seconds", "1"], async (bed) => {
      const { server } = bed;
      const clients = await Promise.all(
        Array.from({ length: 8 }, () => TlsClient.subscribed(server.port, FIRST)),
      );
      process.kill(workersOf(server)[0]!, "SIGTERM");
      await until("it drains", () => server.stderr.includes("was asked to end"));
      assertEquals(await bed.renew(filesOf(UNUSABLE)), "refused");
      await until("another has joined", () => server.stderr.includes("has joined"), 20_000);
      assertEquals(await bed.meets(FIRST), true);
      assertEquals(server.hasExited, false);
      for (const client of clients) client.dispose();
    });
  });

  it("comes to all workers, to one that hangs when it goes on", {
    timeout,
    skip: skipWorkers,
  }, async () => {
    await Bed.with(["--workers", "2"], async (bed) => {
      const [hung] = workersOf(bed.server);
      process.kill(hung!, "SIGSTOP");
      assertEquals(await bed.renew(secondFiles), "renewed");
      assertMatch(bed.server.stderr, /worker-\d hasn't followed yet/);
      process.kill(hung!, "SIGCONT");
      // What it was told waits for it.
      let all = false;
      const endMs = performance.now() + 10_000;
      while (!all && performance.now() < endMs) all = await bed.meets(SECOND);
      assert(all, bed.server.stderr);
      assert(workersOf(bed.server).includes(hung!));
    });
  });

  it("comes to the successor of a worker that dies before it has heard of it", {
    timeout,
    skip: skipWorkers,
  }, async () => {
    await Bed.with(["--workers", "2"], async (bed) => {
      const [hung] = workersOf(bed.server);
      process.kill(hung!, "SIGSTOP");
      const renewed = bed.renew(secondFiles);
      await sleep(300);
      process.kill(hung!, "SIGKILL");
      assertEquals(await renewed, "renewed");
      await until("another has joined", () => bed.server.stderr.includes("has joined"), 20_000);
      assertEquals(await bed.meets(SECOND), true);
    });
  });
});

describe("the lifetime of a certificate", () => {
  const { validFrom, validTo } = new X509Certificate(FIRST.cert);
  const [from, to] = [Date.parse(validFrom), Date.parse(validTo)];

  it("is warned of when it's over, hasn't begun, or is about to be over", () => {
    assertEquals(lifetimeWarnings(FIRST.cert, to - 30 * DAY_MS), []);
    const [soon] = lifetimeWarnings(FIRST.cert, to - 3.5 * DAY_MS);
    assertMatch(soon!, /^the certificate expires on \d{4}-\d\d-\d\d, in 3 days: renew it$/);
    const [over] = lifetimeWarnings(FIRST.cert, to + DAY_MS);
    assertMatch(over!, /^the certificate expired on \d{4}-\d\d-\d\d: clients refuse it$/);
    const [early] = lifetimeWarnings(FIRST.cert, from - DAY_MS);
    assertMatch(early!, /^the certificate isn't valid before \d{4}-\d\d-\d\d: /);
    const both = lifetimeWarnings(FIRST.cert + SECOND.cert, to + 100_000 * DAY_MS);
    assertMatch(both[1]!, /^certificate 2 in it expired on /);
  });
});
