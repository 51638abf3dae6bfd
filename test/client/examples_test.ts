import { assert, assertEquals, assertMatch } from "@std/assert";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import type { Page } from "playwright-core";
import { PROJECT_ROOT } from "../../cli/program.ts";
import { bundle, cannotBundle } from "../support/bundle.ts";
import type { Ports } from "../support/client/bed.ts";
import { launchChromium, skipChromium } from "../support/processes/chromium.ts";
import { MachineBed } from "../support/client/machine_bed.ts";
import { TESTED_RUNTIMES } from "../support/processes/tested_runtimes.ts";
import { until } from "../support/until.ts";

const timeout = 60_000;

function has(program: string): boolean {
  return spawnSync(program, ["--version"]).status === 0;
}

const EXAMPLES = join(PROJECT_ROOT, "examples");

/** A user's program under way. */
class Example {
  readonly #child: ChildProcess;
  said = "";

  constructor(folder: string, command: readonly string[]) {
    this.#child = spawn(command[0]!, command.slice(1), { cwd: folder });
    for (const output of [this.#child.stdout!, this.#child.stderr!]) {
      output.setEncoding("utf8").on("data", (text: string) => this.said += text);
    }
  }

  say(line: string): void {
    this.#child.stdin!.write(`${line}\n`);
  }

  /** Waits until it has said something. */
  async hears(text: string, times = 1): Promise<void> {
    const count = () => this.said.split(text).length - 1;
    await until(`it says ${text}`, () => count() >= times, 30_000).catch((error) => {
      throw new Error(`${error.message}; it said ${this.said}`);
    });
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null) return;
    const closed = new Promise((resolve) => this.#child.once("close", resolve));
    this.#child.kill("SIGKILL");
    await closed;
  }
}

for (const runtime of TESTED_RUNTIMES) {
  describe(`the examples, with a server on ${runtime}`, () => {
    const bed = new MachineBed(runtime);
    const folder = mkdtempSync(join(tmpdir(), "hotwheels-examples-"));
    const examples: Example[] = [];
    let server: Ports;

    before(async () => {
      for (const name of ["live_page.mjs", "publisher.mjs", "follow.py"]) {
        copyFileSync(join(EXAMPLES, name), join(folder, name));
      }
      server = await bed.start(["--workers", "2"]);
      if (cannotBundle) return;
      // What the package is to a program: its names, and the modules behind them.
      const home = join(folder, "node_modules", "hotwheels");
      mkdirSync(join(home, "dist", "client"), { recursive: true });
      copyFileSync(join(PROJECT_ROOT, "package.json"), join(home, "package.json"));
      for (const [entry, platform] of [["mod", "node"], ["browser", "browser"]] as const) {
        const code = bundle(`client/${entry}.ts`, { platform });
        writeFileSync(join(home, "dist", "client", `${entry}.js`), code);
      }
    }, { timeout });

    after(async () => {
      for (const example of examples) await example.stop();
      await bed.dispose();
      rmSync(folder, { recursive: true });
    }, { timeout });

    function start(...command: string[]): Example {
      const example = new Example(folder, command);
      examples.push(example);
      return example;
    }

    const noNode = has("node") ? cannotBundle : "there is no Node here";
    const noPython = has("python3") ? noNode : "there is no Python here";

    it("publish lines, and follow them in Python over the death of all workers", {
      timeout,
      skip: noPython,
    }, async () => {
      const follower = start("python3", "follow.py", "127.0.0.1", String(server.tcp), "events");
      await follower.hears("subscribed: new");
      const url = `hotwheels://127.0.0.1:${server.tcp}`;
      const publisher = start("node", "publisher.mjs", url, "events");
      publisher.say("hello");
      await publisher.hears("1 subscribers: hello");
      publisher.say("two words");
      await publisher.hears("1 subscribers: two words");
      await follower.hears('"hello"\n"two words"\n');
      await bed.killWorkers(server.id);
      await follower.hears("subscribed: unknown_origin");
      publisher.say("again");
      await follower.hears('"again"');
    });

    it("show in two browsers who is here, and go on when workers die", {
      timeout,
      skip: skipChromium || noNode,
    }, async () => {
      const live = start(
        ...["node", "live_page.mjs", `hotwheels://127.0.0.1:${server.tcp}`],
        ...[`ws://127.0.0.1:${server.ws}`, "0"],
      );
      await live.hears("open http://");
      // By the name of the server, since pages of other hosts may not connect.
      const address = /open (http:\S+)/.exec(live.said)![1]!.replace("localhost", "127.0.0.1");
      const browser = await launchChromium();
      try {
        const pages = await Promise.all([1, 2].map(async () => {
          const page = await (await browser.newContext()).newPage();
          await page.goto(address);
          return page;
        }));
        const all = async (id: string, isWanted: (text: string) => boolean) => {
          for (const page of pages) await untilText(page, id, isWanted);
        };
        await all("here", (text) => text === "2");
        await pages[0]!.fill("input", "<b>hello</b>");
        await pages[0]!.press("input", "Enter");
        await all("ticker", (text) => text === "<b>hello</b>");
        const tick = Number(await pages[0]!.textContent("#tick"));
        await bed.killWorkers(server.id);
        await all("tick", (text) => Number(text) > tick);
        await all("here", (text) => text === "2");
      } finally {
        await browser.close();
      }
    });

    it("are as short as they are said to be", () => {
      const lines = (name: string) => readFileSync(join(EXAMPLES, name), "utf8").split("\n");
      assert(lines("live_page.mjs").length < 100);
      assertEquals(existsSync(join(EXAMPLES, "publisher.mjs")), true);
      const python = lines("follow.py").filter((line) => line.trim() !== "");
      assert(python.length <= 40, `${python.length}`);
      assertMatch(python.join(), /resume/);
    });
  });
}

async function untilText(page: Page, id: string, isWanted: (text: string) => boolean) {
  let found = "";
  const deadlineMs = performance.now() + 30_000;
  while (!isWanted(found = await page.textContent(`#${id}`) ?? "")) {
    if (performance.now() > deadlineMs) throw new Error(`#${id} stays ${found}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
