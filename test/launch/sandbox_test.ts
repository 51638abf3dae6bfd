import { assert, assertEquals, assertMatch } from "@std/assert";
import { spawn, spawnSync } from "node:child_process";
import process from "node:process";
import { describe, it } from "node:test";
import { childEnvironment, findProgram, PROJECT_ROOT } from "../../cli/program.ts";
import { CommandProcess } from "../support/processes/command_process.ts";
import { until } from "../support/until.ts";

const timeout = 120_000;

const deno = findProgram("deno").path;

/** `script` of util-linux gives a command a terminal, in which Deno would ask. */
function skipReason(): string | false {
  const { status, stdout } = spawnSync("script", ["--version"], { encoding: "utf8" });
  return status === 0 && stdout.includes("util-linux") ? false : "needs util-linux' script";
}

/** Runs a command in a terminal until it serves or ends. */
async function inTerminal(line: string): Promise<string> {
  const child = spawn("script", ["-qefc", `exec ${line}`, "/dev/null"], {
    cwd: PROJECT_ROOT,
    env: { ...childEnvironment(), NO_COLOR: "1" },
    stdio: ["pipe", "pipe", "pipe"],
  });
  const command = new CommandProcess(child);
  let hasEnded = false;
  command.exited.then(() => hasEnded = true);
  try {
    const isDone = () => hasEnded || / listening on |requests|\nbots: all /.test(command.stdout);
    await until("it serves or ends", isDone, 30_000);
    return command.stdout.replaceAll("\r", "");
  } finally {
    if (!hasEnded) command.signal("SIGTERM");
    await command.ended;
  }
}

const SERVER = "server/main.ts --host 127.0.0.1 --port 0";

/** By what a command may do: what it says, all of it, but for where it listens. */
const CASES: readonly (readonly [string, RegExp])[] = [
  [`--allow-net ${SERVER}`, /^hotwheels: the descriptor limit isn't known here, [^\n]*--max-conn/],
  [`--allow-net ${SERVER} --max-connections 90`, /^hotwheels listening on /],
  [SERVER, /\nhotwheels: [^\n]*--allow-net=127\.0\.0\.1:0; /],
  [`--allow-net ${SERVER} --workers 2`, /\nhotwheels: [^\n]*--allow-run=deno; /],
  [
    `--allow-net --allow-run ${SERVER} --workers 2`,
    /\nhotwheels: [^\n]*--allow-env=NODE_V8_COVERAGE; /,
  ],
  [`--allow-net ${SERVER} --publish-key-file LICENSE`, /\nhotwheels: [^\n]*--allow-read=LICENSE; /],
  [
    `--allow-net ${SERVER} --tls-cert LICENSE --tls-key LICENSE`,
    /\nhotwheels: can't read --tls-cert LICENSE: [^\n]*--allow-read=LICENSE; /,
  ],
  ["bots/main.ts 5", /^bots: no permission to use the network; /],
  ["--allow-net bots/main.ts 5 --tls --ca LICENSE", /^bots: [^\n]*--allow-read=LICENSE; /],
  ["--allow-net bots/main.ts 5 --json LICENSE", /^bots: [^\n]*--allow-write=LICENSE; /],
  ["tools/demo/main.ts 5", /^demo: [^\n]*--allow-env=PATH; /],
  ["--allow-env tools/demo/main.ts 5", /^demo: [^\n]*--allow-run; /],
  ["tools/soak/main.ts", /^soak: [^\n]*--allow-env=PATH; /],
  ["tools/churn/main.ts", /^churn: [^\n]*--allow-env=PATH; /],
  ["tools/compare/main.ts --out reports/x", /^compare: [^\n]*--allow-\w+=\S*reports\/x; /],
  ["tools/hosts/main.ts", /^hosts: [^\n]*--allow-env=PATH; /],
  ["tools/doctor/main.ts 50", /^50 clients, server and bots on deno, /],
];

describe("Deno's sandbox", { skip: skipReason() }, () => {
  for (const [words, expected] of CASES) {
    it(`asks no user, and what it forbids is told in a line: ${words}`, { timeout }, async () => {
      const said = await inTerminal(`${deno} run ${words}`);
      assertMatch(`\n${said}`, new RegExp(expected.source.replace(/^\^/, "\\n")));
      assert(!/ requests |^ +at /m.test(said), said);
    });
  }

  it("asks no user of a task either", { timeout }, async () => {
    const said = await inTerminal(`${deno} task -q serve --host 127.0.0.1 --port 0`);
    assertMatch(said, /^hotwheels listening on [^\n]*\n$/);
  });
});

describe("an embedded server on Deno", () => {
  const program = `import { serve } from "./mod.ts";
    for (let i = 0; i < 2; i++) {
      const server = await serve({ hostname: "127.0.0.1", port: 0, limits: LIMITS });
      await server.close();
    }`;

  async function embed(flags: readonly string[], limits: string): Promise<string> {
    const child = spawn(deno, ["run", ...flags, "--no-prompt", "-"], {
      cwd: PROJECT_ROOT,
      env: { ...childEnvironment(), HOTWHEELS_NOFILE: "500" },
      stdio: ["pipe", "pipe", "pipe"],
    });
    const command = new CommandProcess(child);
    child.stdin!.end(program.replace("LIMITS", limits));
    const { status, stdout, stderr } = await command.ended;
    assertEquals([status, stdout], [0, ""], stderr);
    return stderr;
  }

  it("says once what it can't see, and what mends it", { timeout }, async () => {
    const said = await embed(["--allow-net"], "{}");
    assertMatch(said, /^hotwheels: [^\n]*limits\.maxConnections[^\n]*HOTWHEELS_NOFILE\n$/);
    assertEquals(await embed(["--allow-net", "--allow-env=HOTWHEELS_NOFILE"], "{}"), "");
    assertEquals(await embed(["--allow-net"], "{ maxConnections: 10 }"), "");
  });
});

const isLinux = process.platform === "linux";
describe("what Bun can see of the limit", { skip: !isLinux && "looks into /proc here" }, () => {
  it("is the same in a report as in /proc", () => {
    const script = `const { userLimits } = process.report.getReport();
      console.log(userLimits.open_files.soft)`;
    const options = { env: childEnvironment(), encoding: "utf8" } as const;
    const args = ["-c", `ulimit -n 321; exec "$@"`, "sh", findProgram("bun").path, "-e", script];
    assertEquals(spawnSync("sh", args, options).stdout, "321\n");
  });
});
