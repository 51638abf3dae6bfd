import { assert, assertEquals, assertMatch } from "@std/assert";
import { parse } from "@std/yaml/parse";
import { spawn, spawnSync } from "node:child_process";
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { until } from "../support/until.ts";
import { TESTED_RUNTIMES } from "../support/processes/tested_runtimes.ts";

const root = fileURLToPath(import.meta.resolve("../../"));
const folder = join(root, "deploy", "ec2");

function read(name: string): string {
  return readFileSync(join(folder, name), "utf8");
}

/** Why a program can't be had here; false where it can. */
function missing(program: string): string | false {
  const { error, status } = spawnSync(program, ["--version"]);
  return error === undefined && status === 0 ? false : `${program} isn't installed`;
}

/** Runs a program, which must succeed. */
function succeed(program: string, ...args: string[]): string {
  const { status, stdout, stderr } = spawnSync(program, args, { encoding: "utf8" });
  assertEquals(status, 0, `${program} ${args.join(" ")}: ${stdout}${stderr}`);
  return stdout + stderr;
}

interface CloudConfig {
  readonly packages: readonly string[];
  readonly write_files: readonly { readonly path: string; readonly content: string }[];
  readonly runcmd: readonly (readonly string[])[];
}

for (const role of ["server", "bots"]) {
  describe(`the cloud-init of the ${role} instance`, () => {
    const text = read(`${role}.yaml`);
    const config = parse(text) as CloudConfig;

    it("is a cloud-config with nothing but what it's known to have", () => {
      assertMatch(text, /^#cloud-config\n/);
      assertEquals(Object.keys(config).sort(), ["packages", "runcmd", "write_files"]);
      assertEquals(
        [...new Set(text.match(/@[A-Z]+@/g))].sort(),
        ["@COMMIT@", "@REPOSITORY@"],
      );
    });

    it("ends the instance after two hours before it does anything else", () => {
      assertEquals(config.runcmd[0], ["shutdown", "+120"]);
    });

    it("installs one commit for this role", () => {
      const commands = config.runcmd.map((command) => command.join(" "));
      assert(commands.includes("git -C /opt/hotwheels checkout --quiet --detach @COMMIT@"));
      assertEquals(commands.at(-1), `sh /opt/hotwheels/deploy/ec2/install.sh ${role}`);
    });

    it("sets what the system knows", { skip: process.platform !== "linux" && "no Linux" }, () => {
      const settings = config.write_files.find(({ path }) => path.startsWith("/etc/sysctl.d/"))!;
      const names = settings.content.split("\n").filter((line) => /^[a-z]/.test(line))
        .map((line) => line.split(" = ")[0]!);
      assert(names.length > 0);
      for (const name of names) succeed("ls", `/proc/sys/${name.replaceAll(".", "/")}`);
    });

    it("is what cloud-init understands", { skip: missing("cloud-init"), timeout: 60_000 }, () => {
      const said = succeed("cloud-init", "schema", "--config-file", join(folder, `${role}.yaml`));
      assertMatch(said, /Valid/);
    });
  });
}

describe("the service", () => {
  const unit = read("hotwheels@.service");

  const skip = missing("systemd-analyze");
  it("is what systemd understands", { skip, timeout: 60_000 }, () => {
    for (const runtime of TESTED_RUNTIMES) {
      const said = succeed(
        ...["systemd-analyze", "verify", "--man=no"] as const,
        join(folder, `hotwheels@${runtime}.service`),
      );
      assertEquals(said, "");
    }
  });

  it("is hardly exposed, by systemd's own count", { skip, timeout: 60_000 }, () => {
    succeed(
      ...["systemd-analyze", "security", "--offline=yes", "--threshold=15"] as const,
      join(folder, "hotwheels@.service"),
    );
  });

  it("gives Deno the permissions and the memory that the task gives it, and no other", () => {
    const { tasks } = JSON.parse(readFileSync(join(root, "deno.json"), "utf8"));
    const copy = mkdtempSync(join(tmpdir(), "hotwheels-service-"));
    try {
      for (const room of ["cli", "deploy/ec2"]) mkdirSync(join(copy, room), { recursive: true });
      copyFileSync(join(root, "deno.json"), join(copy, "deno.json"));
      copyFileSync(join(folder, "serve.sh"), join(copy, "deploy/ec2/serve.sh"));
      copyFileSync(join(root, "cli/hotwheels.sh"), join(copy, "cli/hotwheels.sh"));
      writeFileSync(join(copy, "cli/launch.sh"), 'shift; printf "%s\\n" "$@"');
      const said = succeed("sh", join(copy, "deploy/ec2/serve.sh"), "deno", "--workers", "2");
      const task = tasks.serve.replace("sh cli/launch.sh ", "").split(" ");
      assertEquals(said.trim().split("\n"), [...task, "--port", "8081", "--workers", "2"]);
    } finally {
      rmSync(copy, { recursive: true });
    }
  });

  for (const runtime of TESTED_RUNTIMES) {
    it(`serves on ${runtime} by the unit's own command line`, { timeout: 60_000 }, async () => {
      const command = /^ExecStart=(.*)$/m.exec(unit)![1]!
        .replaceAll("/opt/hotwheels/", root).replaceAll("%i", runtime)
        .replace("$HOTWHEELS_FLAGS", "--host 127.0.0.1 --log-level warning").split(" ");
      const home = mkdtempSync(join(tmpdir(), "hotwheels-service-"));
      const env = { PATH: "/usr/local/bin:/usr/bin:/bin", HOME: home, DENO_DIR: home };
      const child = spawn(command[0]!, command.slice(1), {
        cwd: root,
        env: { ...env, HOTWHEELS_PORT: "0" },
      });
      try {
        let said = "";
        child.stdout.on("data", (text) => said += text);
        child.stderr.on("data", (text) => said += text);
        await until("the server listens", () => /listening on \S+:\d+ /.test(said), 30_000);
        assertMatch(said, new RegExp(`^hotwheels listening on [^\n]*\\(${runtime} [^\n]*\n$`));
        // It's the process that systemd started: no shell or task runner stands before it.
        assertEquals(Number(/pid (\d+)/.exec(said)![1]), child.pid);
        const client = connect(Number(/:(\d+) /.exec(said)![1]), "127.0.0.1");
        const greeting = await new Promise((resolve) => client.once("data", resolve));
        assertMatch(String(greeting), /"token"/);
        client.destroy();
        const ended = new Promise((resolve) => child.once("exit", resolve));
        process.kill(child.pid!, "SIGTERM");
        assertEquals(await ended, 0);
      } finally {
        if (child.exitCode === null) child.kill("SIGKILL");
        rmSync(home, { recursive: true });
      }
    });
  }

  it("refuses to start on anything else", () => {
    for (const args of [[], ["node"], ["--help"]]) {
      const { status, stderr } = spawnSync("sh", [join(folder, "serve.sh"), ...args], {
        encoding: "utf8",
      });
      assertEquals(status, 2);
      assertMatch(stderr, /^usage: /);
    }
  });
});

describe("the scripts", () => {
  const scripts = readdirSync(folder).filter((name) => name.endsWith(".sh"));

  it("are what a POSIX shell understands", () => {
    assertEquals(scripts.sort(), ["install.sh", "serve.sh"]);
    for (const script of scripts) succeed("sh", "-n", join(folder, script));
  });

  it("are what shellcheck likes", { skip: missing("shellcheck"), timeout: 60_000 }, () => {
    succeed("shellcheck", ...scripts.map((script) => join(folder, script)));
  });

  it("install nothing when it isn't said what for", () => {
    for (const args of [[], ["client"]]) {
      const { status, stderr } = spawnSync("sh", [join(folder, "install.sh"), ...args], {
        encoding: "utf8",
      });
      assertEquals(status, 2);
      assertMatch(stderr, /^usage: /);
    }
  });
});

describe("the pinned runtimes", () => {
  interface Locked {
    readonly version: string;
    readonly integrity?: string;
    readonly resolved?: string;
  }

  const manifest = JSON.parse(read("runtimes/package.json"));
  const lock = JSON.parse(read("runtimes/package-lock.json"));
  const { devDependencies } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  const packages = Object.entries(lock.packages as Record<string, Locked>)
    .filter(([path]) => path !== "");

  it("are each one version with one checksum, from wherever npm fetches it", () => {
    const locked = packages.map(([path, { version }]) => [
      path.replace("node_modules/", ""),
      version,
    ]);
    assertEquals(Object.fromEntries(locked), manifest.optionalDependencies);
    for (const [path, { integrity, resolved }] of packages) {
      assertMatch(integrity ?? "", /^sha512-[A-Za-z0-9+/]{86}==$/, path);
      assertEquals(resolved, undefined, path);
    }
  });

  it("are the versions that the project is tested with, up to the patch", () => {
    for (const [name, version] of Object.entries<string>(manifest.optionalDependencies)) {
      const tested: string = devDependencies[name.startsWith("@deno/") ? "deno" : "bun"];
      const minor = (text: string) => text.split(".").slice(0, 2);
      assertEquals(minor(version), minor(tested), name);
    }
  });

  it("are what the installation looks for", () => {
    const script = read("install.sh");
    for (const name of Object.keys(manifest.optionalDependencies)) assert(script.includes(name));
  });
});
