import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { spawn, spawnSync } from "node:child_process";
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import process from "node:process";
import { after, before, describe, it } from "node:test";
import { findProgram, PROJECT_ROOT, RUNTIME_NAMES, type RuntimeName } from "../../cli/program.ts";
import { bundle, cannotBundle } from "../support/bundle.ts";
import { Checkout } from "../support/processes/checkout.ts";
import { CommandProcess, type Ended } from "../support/processes/command_process.ts";
import { EmptyRoot, emptyRootProblem } from "../support/processes/empty_root.ts";
import { until } from "../support/until.ts";

const timeout = 120_000;

/** Milliseconds for an installation, after which it is made by hand. */
const INSTALL_PATIENCE_MS = 30_000;

const skip = spawnSync("npm", ["--version"]).status === 0 ? false : "there is no npm here";

describe("the package that npm packs", { skip }, () => {
  const scratch = realpathSync(mkdtempSync(join(tmpdir(), "hotwheels-package-")));
  /** The user's project: nothing is in it but what the package's installation left. */
  const folder = join(scratch, "project");
  let files: readonly string[] = [];

  before(() => {
    const checkout = new Checkout("npm");
    try {
      const options = { cwd: checkout.folder, env: checkout.env, encoding: "utf8" } as const;
      const packed = spawnSync("npm", ["pack", "--json", "--pack-destination", scratch], options);
      assertEquals(packed.status, 0, packed.stderr);
    } finally {
      checkout.dispose();
    }
    const archive = join(scratch, readdirSync(scratch).find((name) => name.endsWith(".tgz"))!);
    files = spawnSync("tar", ["-tzf", archive], { encoding: "utf8" }).stdout.trim().split("\n");
    install(archive);
  }, { timeout });

  after(() => rmSync(scratch, { recursive: true }));

  /** Installs the archive with npm; where there is no registry, as npm does. */
  function install(archive: string): void {
    mkdirSync(folder);
    writeFileSync(join(folder, "package.json"), '{ "private": true, "type": "module" }\n');
    // Where there is no registry, npm would try for half a minute.
    const flags = ["--prefer-offline", "--fetch-retries=0", "--no-audit", "--no-fund"];
    const args = ["install", ...flags, archive];
    const options = { cwd: folder, timeout: INSTALL_PATIENCE_MS } as const;
    if (spawnSync("npm", args, options).status === 0) return;
    const modules = join(folder, "node_modules");
    rmSync(modules, { recursive: true, force: true });
    mkdirSync(join(modules, ".bin"), { recursive: true });
    spawnSync("tar", ["-xzf", archive, "-C", modules]);
    spawnSync("mv", [join(modules, "package"), join(modules, "hotwheels")]);
    symlinkSync("../hotwheels/dist/cli/hotwheels.sh", join(modules, ".bin", "hotwheels"));
    const lock = JSON.parse(readFileSync(join(PROJECT_ROOT, "package-lock.json"), "utf8")) as {
      packages: Record<string, { dev?: boolean }>;
    };
    for (const [path, { dev }] of Object.entries(lock.packages)) {
      if (path === "" || dev === true) continue;
      // A link would lead out of a root folder that gets a copy of this.
      cpSync(join(PROJECT_ROOT, path), join(folder, path), { recursive: true });
    }
  }

  /** A PATH with these runtimes, and with no others. */
  function pathWith(...names: readonly RuntimeName[]): string {
    const programs = join(scratch, `programs-${names.join("-")}`);
    if (!existsSync(programs)) {
      mkdirSync(programs);
      for (const name of names) symlinkSync(findProgram(name).path, join(programs, name));
    }
    const others = (process.env["PATH"] ?? "").split(delimiter)
      .filter((path) => !["deno", "bun"].some((name) => existsSync(join(path, name))));
    return [programs, join(folder, "node_modules", ".bin"), ...others].join(delimiter);
  }

  function start(command: string, PATH = pathWith("deno", "bun")): CommandProcess {
    const child = spawn("sh", ["-c", `exec ${command}`], {
      cwd: folder,
      env: { PATH, HOME: process.env["HOME"], NO_COLOR: "1" },
      stdio: ["ignore", "pipe", "pipe"],
    });
    return new CommandProcess(child);
  }

  function run(command: string, PATH?: string): Promise<Ended> {
    return start(command, PATH).ended;
  }

  it("has what its user needs, and nothing of the workshop", () => {
    const manifest = JSON.parse(
      readFileSync(join(folder, "node_modules", "hotwheels", "package.json"), "utf8"),
    );
    assertEquals(manifest.private, undefined);
    const odd = files.filter((name) => !/^package\/(?:dist\/|[^/]+$)/.test(name));
    assertEquals(odd, []);
    const wrong = files.filter((name) =>
      /\.(?:ts|key|crt)$|_test\b/.test(name.replace(/\.d\.ts$/, ""))
    );
    assertEquals(wrong, []);
    for (const name of ["README.md", "LICENSE", "dist/mod.js", "dist/mod.d.ts"]) {
      assert(files.includes(`package/${name}`), name);
    }
    // Only what others may import has types.
    const types = files.filter((name) => name.endsWith(".d.ts"));
    assert(types.length < 40, types.join());
    const modules = readdirSync(join(folder, "node_modules"));
    assertEquals(
      ["bun", "deno", "typescript", "fast-check"].filter((m) => modules.includes(m)),
      [],
    );
  });

  for (const runtime of RUNTIME_NAMES) {
    it(`serves bots on ${runtime}, and carries a message between shells`, { timeout }, async () => {
      const server = start(
        `node_modules/.bin/hotwheels serve --runtime ${runtime} --host 127.0.0.1 --port 0 --workers 2`,
      );
      try {
        await until("it listens", () => server.stdout.includes("\n"), 30_000);
        const [, port, by] = /:(\d+) \((\w+) \S+ pid \d+, 2 workers/.exec(server.stdout) ?? [];
        assertEquals(by, runtime, server.stdout);
        const at = `--host 127.0.0.1 --port ${port} --runtime ${runtime}`;
        const bots = await run(`npx hotwheels bots 100 127.0.0.1 ${port} --runtime=${runtime}`);
        assertStringIncludes(bots.stdout, "good: 100, bad: 0", bots.stderr);
        assertMatch(bots.stderr, new RegExp(`^hotwheels: on ${runtime} [\\d.]+\\n`));
        const listener = start(`hotwheels sub t --count 1 ${at}`);
        await until("it has subscribed", () => listener.stderr.includes("subscribed"), 30_000);
        const published = await run(`hotwheels pub t '{"a":1}' ${at}`);
        assertEquals(published, { status: 0, stdout: "", stderr: "" });
        assertEquals((await listener.ended).stdout, '{"a":1}\n');
      } finally {
        server.signal("SIGTERM");
      }
      assertEquals((await server.ended).status, 0);
    });

    it(`is a library on ${runtime}`, { timeout }, async () => {
      writeFileSync(
        join(folder, "program.ts"),
        `import { type RunningServer, serve } from "hotwheels";
        const limits = { maxConnections: 10 };
        const server: RunningServer = await serve({ hostname: "127.0.0.1", port: 0, limits });
        console.log(server.runtime.name, server.counters.connections);
        await server.close();`,
      );
      const program = await run(
        `${runtime === "bun" ? "bun run" : "deno run -q --allow-net"} program.ts`,
      );
      assertEquals([program.stdout, program.status], [`${runtime} 0\n`, 0], program.stderr);
    });
  }

  it("has types, by which each runtime's own checker finds what is wrong", {
    timeout,
  }, async () => {
    writeFileSync(
      join(folder, "right.ts"),
      `import { type RunningServer, serve } from "hotwheels";
      import { connect, type Hotwheels } from "hotwheels/client";
      const server: RunningServer = await serve({ port: 0, limits: { maxConnections: 10 } });
      const hotwheels: Hotwheels = await connect("hotwheels://127.0.0.1:1");
      for await (const { message, timestamp } of hotwheels.subscribe("t")) {
        const said: [unknown, number] = [message.data, timestamp + 1];
        if (said[1] > 0) break;
      }
      await server.close();\n`,
    );
    writeFileSync(
      join(folder, "wrong.ts"),
      `import { serve } from "hotwheels";
      import { connect } from "hotwheels/client";
      await serve({ port: "8081" });
      await connect(8081);\n`,
    );
    const compilerOptions = { module: "NodeNext", target: "ESNext", strict: true, noEmit: true };
    writeFileSync(
      join(folder, "tsconfig.json"),
      JSON.stringify({
        compilerOptions: { ...compilerOptions, types: [] },
        files: ["right.ts", "wrong.ts"],
      }),
    );
    for (const checker of ["deno check -q right.ts wrong.ts", "bun check"]) {
      const { stdout, stderr } = await run(checker);
      const found = `${stdout}${stderr}`.match(/TS\d+/g) ?? [];
      assertEquals(found, ["TS2322", "TS2345"], stdout + stderr);
    }
    rmSync(join(folder, "tsconfig.json"));
  });

  it("has a client that runs on Node, on both runtimes and in a browser's bundle", {
    timeout,
    skip: cannotBundle,
  }, async () => {
    const at = "--host 127.0.0.1 --port 0 --ws-port 0";
    const server = start(`node_modules/.bin/hotwheels serve --runtime deno ${at}`);
    try {
      await until("it listens", () => server.stdout.includes("\n"), 30_000);
      const port = /:(\d+) \(/.exec(server.stdout)![1];
      const program = `import { connect, type Hotwheels } from "hotwheels/client";
        const hotwheels: Hotwheels = await connect("hotwheels://127.0.0.1:${port}");
        const messages = hotwheels.subscribe("t");
        const { matched } = await hotwheels.publish({ topic: "t", data: "hello" });
        for await (const { message, timestamp } of messages) {
          console.log(matched, message.data, timestamp > 0);
          break;
        }
        await hotwheels.close();`;
      writeFileSync(join(folder, "client.ts"), program);
      writeFileSync(
        join(folder, "client.mjs"),
        program.replace(/, type Hotwheels|: Hotwheels/g, ""),
      );
      const commands = [
        "node client.mjs",
        "bun run client.ts",
        "deno run -q --allow-net client.ts",
      ];
      for (const command of commands) {
        const { stdout, stderr } = await run(command);
        assertEquals(stdout, "1 hello true\n", `${command}: ${stderr}`);
      }
      // A bundler takes the browser's entry by itself, which has nothing of Node's.
      const code = bundle("client.mjs", { platform: "browser", folder });
      assert(!code.includes("node:") && code.includes("WebSocket"));
    } finally {
      server.signal("SIGTERM");
    }
    assertEquals((await server.ended).status, 0);
  });

  for (const runtime of RUNTIME_NAMES) {
    it(`serves as the image on ${runtime} starts it, in an empty root that nobody may write`, {
      timeout,
      skip: emptyRootProblem(),
    }, async () => {
      const text = readFileSync(
        join(PROJECT_ROOT, "deploy", "containers", `Containerfile.${runtime}`),
        "utf8",
      );
      const step = (name: string) => new RegExp(`^${name} (.*)$`, "m").exec(text)?.[1] ?? "";
      const root = new EmptyRoot();
      try {
        root.addFolder(folder, "/opt/hotwheels");
        root.addProgram(findProgram(runtime).path, `/usr/local/bin/${runtime}`);
        const variables = Object.fromEntries(step("ENV").split(" ").map((word) => word.split("=")));
        const env = { ...variables, HOTWHEELS_PORT: "0", HOTWHEELS_ADMIN: "127.0.0.1:0" };
        const inside = (words: readonly string[]) => {
          const [program = "", ...args] = root.command(step("USER"), words);
          const stdio: ("ignore" | "pipe")[] = ["ignore", "pipe", "pipe"];
          return new CommandProcess(spawn(program, args, { cwd: "/", env, stdio }));
        };
        const words = (name: string) => JSON.parse(step(name)) as string[];
        const server = inside([...words("ENTRYPOINT"), ...words("CMD"), "--workers", "2"]);
        try {
          await until("it listens", () => server.stdout.includes("\n"), 30_000).catch(() => {
            throw new Error(server.stdout + server.stderr);
          });
          const [, port, by] = /0\.0\.0\.0:(\d+) \((\w+) /.exec(server.stdout) ?? [];
          assertEquals(by, runtime);
          const admin = /admin on http:\/\/(\S+)\)/.exec(server.stdout)![1]!;
          const check = /^HEALTHCHECK .*CMD (\[.*\])$/m.exec(text)![1]!;
          const health = (at: string) => {
            return inside(JSON.parse(check.replace("127.0.0.1:9100", at)) as string[]).ended;
          };
          assertEquals((await health(admin)).status, 0);
          assert((await health("127.0.0.1:1")).status !== 0);
          const bots = [...words("ENTRYPOINT"), "bots", "20", "127.0.0.1", port!];
          const { stdout, stderr } = await inside(bots).ended;
          assertStringIncludes(stdout, "good: 20, bad: 0", stderr);
        } finally {
          server[Symbol.dispose]();
        }
        assertEquals((await server.ended).status, 0, server.stderr);
      } finally {
        root.dispose();
      }
    });
  }

  it(
    "runs on Bun if that is here, else on Deno, else on what npm fetches",
    { timeout },
    async () => {
      const version = (path: string) => run("hotwheels --version", path);
      const said = (name: RuntimeName) =>
        `hotwheels 0.1.0 (${name} ${findProgram(name).version})\n`;
      assertEquals((await version(pathWith("deno", "bun"))).stdout, said("bun"));
      assertEquals((await version(pathWith("deno"))).stdout, said("deno"));
      const asked = await run("hotwheels --runtime deno --version", pathWith("deno", "bun"));
      assertEquals(asked.stdout, said("deno"));
      for (const flag of ["--runtime deno", "--runtime=deno"]) {
        const behind = await run(`hotwheels --version ${flag}`, pathWith("deno", "bun"));
        assertEquals(behind.stdout, said("deno"));
      }
      // In npm's place something that fetches nothing, and tells where the program is.
      const programs = join(scratch, "npm");
      mkdirSync(programs);
      const npm = `#!/bin/sh\necho "$*" >&2\necho ${findProgram("bun").path}\n`;
      writeFileSync(join(programs, "npm"), npm);
      chmodSync(join(programs, "npm"), 0o755);
      const fetched = await version([programs, pathWith()].join(delimiter));
      assertEquals(fetched.stdout, said("bun"), fetched.stderr);
      assertMatch(fetched.stderr, /^hotwheels: there is no bun here; npm fetches bun [\d.]+\n/);
      assertMatch(fetched.stderr, /^exec --yes --package=bun@[\d.]+ /m);
    },
  );

  it("says in one line what is wrong with its command line", { timeout }, async () => {
    for (
      const [args, words] of [
        ["", /^hotwheels: which command\? hotwheels --help lists them\n$/],
        ["srve", /^hotwheels: there is no command "srve"; did you mean serve\?\n$/],
        ["xyzzy", /^hotwheels: there is no command "xyzzy"; hotwheels --help lists them\n$/],
        ["--runtime node serve", /^hotwheels: --runtime must be deno or bun, not "node"\n$/],
        ["serve --runtime", /^hotwheels: --runtime needs a value: deno or bun\n$/],
        ["completion ksh", /^hotwheels: completion is for bash, zsh or fish, not "ksh"\n$/],
        ["serve --prot 1", /^hotwheels: there is no flag "--prot"; did you mean --port\?\n$/],
      ] as const
    ) {
      const { status, stdout, stderr } = await run(`hotwheels ${args}`);
      assertEquals([status, stdout], [2, ""], args);
      assertMatch(stderr, words);
    }
    const help = await run("hotwheels --help");
    for (const asked of ["help", "completion --help"]) {
      assertEquals((await run(`hotwheels ${asked}`)).stdout, help.stdout);
    }
    assertMatch((await run("hotwheels help pub")).stdout, /^Hotwheels pub: /);
    assertEquals([help.status, help.stderr], [0, ""]);
    assertEquals(help.stdout.split("\n").filter((line) => line.length > 80), []);
  });

  const hasBash = spawnSync("bash", ["--version"]).status === 0 ? false : "there is no bash here";
  it("completes commands and their flags in bash", { timeout, skip: hasBash }, async () => {
    writeFileSync(
      join(folder, "complete.bash"),
      `eval "$(hotwheels completion bash)"
      for words in "hotwheels s" "hotwheels serve --log-" "hotwheels completion f"; do
        COMP_WORDS=($words)
        COMP_CWORD=$((\${#COMP_WORDS[@]} - 1))
        _hotwheels
        echo "\${COMPREPLY[*]}"
      done`,
    );
    const { stdout } = await run("bash complete.bash");
    const [commands, flags, shells] = stdout.split("\n").map((line) => line.split(" ").sort());
    assertEquals(commands, ["serve", "soak", "sub"]);
    assertEquals(flags, ["--log-format", "--log-level"]);
    assertEquals(shells, ["fish"]);
  });
});

describe("the package for JSR", () => {
  it("publishes, with the library and nothing else", { timeout }, () => {
    // Its types are those that `deno check` looks at.
    const flags = ["--dry-run", "--allow-dirty", "--no-check", "--token", "none"];
    const args = ["publish", ...flags];
    const options = { cwd: PROJECT_ROOT, encoding: "utf8" } as const;
    const { status, stderr } = spawnSync(findProgram("deno").path, args, options);
    assertEquals(status, 0, stderr);
    const root = `file://${PROJECT_ROOT}`;
    const names = [...stderr.matchAll(/file:\/\/(\S+) \(/g)].map(([, path]) => `file://${path}`);
    const tops = new Set(names.map((name) => name.slice(root.length).split("/")[0]));
    assertEquals(
      [...tops].filter((top) => /^(?:test|docs|deploy|bots|tools|dist|node_modules)$/.test(top!)),
      [],
    );
    assert(tops.has("mod.ts") && tops.has("server"), stderr);
    assertEquals(stderr.match(/warning/gi), null, stderr);
  });
});
