import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { describe, it } from "node:test";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { UsageError } from "../../../cli/command_line.ts";
import { PROJECT_ROOT } from "../../../cli/program.ts";
import { parseCommand } from "../../../server/command/options.ts";
import { JanusClient, message, publishForReceipt } from "../../support/clients/janus_client.ts";
import { until } from "../../support/until.ts";
import { NatsServer, skipNats } from "../../support/processes/nats_server.ts";
import { directCommand, ServerCommand } from "../../support/processes/server_command.ts";
import { TESTED_RUNTIMES } from "../../support/processes/tested_runtimes.ts";
import { identityFile } from "../../support/identities.ts";
import { withMachines } from "./nats_bed.ts";

const timeout = 120_000;

/** The accounts of docs/cluster.md, with a password, and a user who may do nothing here. */
const ACCOUNTS = `
authorization {
  users = [
    {
      user: hotwheels
      password: s3cret
      permissions: {
        publish: { allow: ["hotwheels.hotwheels.>"] }
        subscribe: { allow: ["hotwheels.hotwheels.>"] }
      }
    }
    { user: deaf, password: s3cret, permissions: { publish: ["hotwheels.>"], subscribe: ["x"] } }
    { user: dumb, password: s3cret, permissions: { publish: ["x"], subscribe: ["hotwheels.>"] } }
  ]
}
`;

function clusterOf(...args: string[]) {
  const command = parseCommand(args);
  assert(command.does === "serve");
  return command.options.cluster;
}

describe("the flags of a cluster", () => {
  it("name servers, and who this one is there", () => {
    assertEquals(clusterOf(), undefined);
    assertEquals(clusterOf("--cluster", "nats://a,nats://b:4333"), {
      servers: ["a:4222", "b:4333"],
      isSecure: false,
      user: undefined,
      password: undefined,
      token: undefined,
      name: "hotwheels",
      credentialsFile: undefined,
      caFile: undefined,
      logBytes: 64 * 1024 * 1024,
      logMs: 60_000,
    });
    const { user, password, isSecure, servers, logMs, logBytes } = clusterOf(
      "--cluster",
      "tls://me:p%40ss@[::1]:4222",
      "--cluster-log-time",
      "5m",
      "--cluster-log-bytes",
      "1048576",
    )!;
    assertEquals([user, password, isSecure, servers], ["me", "p@ss", true, ["[::1]:4222"]]);
    assertEquals([logMs, logBytes], [300_000, 1_048_576]);
    assertEquals(clusterOf("--cluster", "nats://t0ken@a")?.token, "t0ken");
  });

  it("are all that loads NATS's client", () => {
    const folder = join(PROJECT_ROOT, "server");
    const names = readdirSync(folder, { recursive: true, encoding: "utf8" });
    for (const name of names.filter((name) => name.endsWith(".ts"))) {
      const text = readFileSync(join(folder, name), "utf8");
      const imports = text.match(/^(?:import|export) (?!type\b)[^;]*"@nats-io\/[^;]*;/gm) ?? [];
      assertEquals(imports, [], `${name} must load it only when a server connects`);
    }
  });

  it("say in one line what is wrong, and never a password", () => {
    const wrong: [string[], RegExp][] = [
      [["--cluster", "a:4222"], /--cluster must list NATS's servers .* not "a:4222"/],
      [["--cluster", "nats://u:s3cret@a:99999"], /not "nats:\/\/…@a:99999"/],
      [["--cluster", "u:s3cret@a"], /not "…"/],
      [["--cluster", "nats://u:s3cre,t@a"], /not "…"; a comma in a user or password .* %2C/],
      [["--cluster", "nats://u:s3cret"], /not "nats:\/\/u:…"/],
      [["--cluster", "nats://u:s3cret@a,a:b"], /not "a:b"/],
      [["--cluster", "nats://u:s3cret@a,nats://u:s3cre7@b"], /has several users/],
      [["--cluster", "nats://u:s3cret%@a"], /a % that is no escape/],
      [["--cluster", "nats://a,tls://b"], /must not mix/],
      [["--cluster", "nats://a", "--cluster-name", "a.b"], /--cluster-name must be/],
      [["--cluster", "nats://u:s3cret@a", "--cluster-credentials", "f"], /can't both be used/],
      [["--cluster", "nats://a", "--cluster-ca", "f"], /--cluster-ca needs tls:\/\//],
      [["--cluster-log-time", "5s"], /--cluster-log-time needs --cluster too/],
    ];
    for (const [args, words] of wrong) {
      const { message } = assertThrows(() => parseCommand(args), UsageError);
      assertMatch(message, words);
      assertEquals([message.includes("s3cre"), message.includes("\n")], [false, false], message);
    }
  });
});

for (const runtime of TESTED_RUNTIMES) {
  describe(`a server in a cluster on ${runtime}`, { skip: skipNats }, () => {
    it("is kept from starting by what won't change, in one line", { timeout }, async () => {
      const nats = await NatsServer.start(ACCOUNTS);
      const start = async (user: string, ...flags: string[]) => {
        const url = `nats://${user}@127.0.0.1:${nats.port}`;
        const command = new ServerCommand(directCommand(runtime), [
          ...["--host", "127.0.0.1", "--port", "0", "--log-level", "error", "--cluster", url],
          ...flags,
        ]);
        const { status, stderr } = await command.exited();
        assertEquals(stderr.includes("wr0ng") || stderr.includes("s3cret"), false, stderr);
        return [status, stderr.trim().split("\n").at(-1)!] as const;
      };
      try {
        for (const flags of [[], ["--workers", "2"]]) {
          const [status, line] = await start("hotwheels:wr0ng", ...flags);
          assertEquals(status, 1);
          assertMatch(line, /^hotwheels: --cluster: NATS \(.*\) can't be used: .*Authorization/);
        }
        const [large, why] = await start("hotwheels:s3cret", "--max-frame-bytes", "1048576");
        assertEquals(large, 1);
        assertMatch(why, /its max_payload is 1048576 bytes, .* lower --max-frame-bytes$/);
        const [deaf, hears] = await start("deaf:s3cret");
        assertEquals(deaf, 1);
        assertMatch(hears, /it doesn't let this server hear hotwheels\.hotwheels\.all/);
        const [dumb, says] = await start("dumb:s3cret");
        assertEquals(dumb, 1);
        assertMatch(says, /it denies this server something: .*Publish/);
      } finally {
        await nats.dispose();
      }
    });

    it("is kept from starting by a file that holds something else", { timeout }, async () => {
      const folder = mkdtempSync(join(tmpdir(), "hotwheels-cluster-"));
      const file = join(folder, "file");
      const start = async (url: string, flag: string, content: string) => {
        writeFileSync(file, content);
        const command = new ServerCommand(directCommand(runtime), [
          ...["--host", "127.0.0.1", "--port", "0", "--log-level", "error", "--cluster", url],
          ...[flag, file],
        ]);
        const { status, stderr } = await command.exited();
        assertEquals([status, stderr.includes("s3cret")], [1, false], stderr);
        return stderr.trim().split("\n").at(-1)!;
      };
      const nats = await NatsServer.start();
      const ca = (content: string) => start("tls://127.0.0.1:1", "--cluster-ca", content);
      try {
        assertMatch(await ca("s3cret"), /--cluster-ca .* holds no certificate as PEM text$/);
        const broken = "-----BEGIN CERTIFICATE-----\ns3cret\n-----END CERTIFICATE-----\n";
        assertMatch(await ca(broken), /--cluster-ca .* holds a certificate that can't be read$/);
        const jwt = "-----BEGIN NATS USER JWT-----\ns3cret\n------END NATS USER JWT------\n";
        const seed = "-----BEGIN USER NKEY SEED-----\ns3cret\n------END USER NKEY SEED------\n";
        for (const credentials of [jwt, jwt + seed]) {
          const why = await start(nats.url, "--cluster-credentials", credentials);
          assertMatch(why, /NATS .* can't be used: the credentials file holds no user's JWT/);
        }
      } finally {
        await nats.dispose();
        rmSync(folder, { recursive: true, force: true });
      }
    });

    it("needs no more than the permissions of docs/cluster.md, with TLS", { timeout }, async () => {
      const folder = mkdtempSync(join(tmpdir(), "hotwheels-cluster-"));
      const login = join(folder, "login");
      writeFileSync(login, "hotwheels:s3cret\n");
      chmodSync(login, 0o600);
      const tls = `tls { cert_file: "${identityFile("first", "crt")}", ` +
        `key_file: "${identityFile("first", "key")}" }\n`;
      try {
        const flags = (port: string) => [
          ...["--cluster", `tls://localhost:${port}`, "--cluster-credentials", login],
          ...["--cluster-ca", identityFile("first", "crt")],
        ];
        await withMachines(runtime, [flags, flags], async (machines) => {
          for (const { server } of machines) {
            assertEquals(server.stderr.includes("denies"), false, server.stderr);
          }
          const publisher = await JanusClient.greeted(machines[0]!.server);
          publisher.send(publishForReceipt(message("t")));
          await until("all machines have answered", () => publisher.frames.length === 1);
          const { receipt } = JSON.parse(publisher.frames[0]!);
          assertEquals(receipt.peers, { asked: 1, answered: 1 });
          publisher.close();
        }, ACCOUNTS + tls);
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    });
  });
}
