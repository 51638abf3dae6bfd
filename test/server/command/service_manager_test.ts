import { assert, assertEquals, assertMatch } from "@std/assert";
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { findProgram, PROJECT_ROOT } from "../../../cli/program.ts";
import { ServiceManager } from "../../../server/command/service_manager.ts";
import { withEnvironment } from "../../support/environment.ts";
import { CommandProcess } from "../../support/processes/command_process.ts";
import { TESTED_RUNTIMES } from "../../support/processes/tested_runtimes.ts";
import { until } from "../../support/until.ts";
import { VirtualTimers } from "../../support/virtual_timers.ts";

const timeout = 60_000;

const RECEIVER = fileURLToPath(import.meta.resolve("./fixtures/notified.ts"));

const hasProgram = spawnSync("systemd-notify", ["--version"]).status === 0;

function start(command: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const [program = "", ...args] = command;
  const { PATH, HOME } = process.env;
  return new CommandProcess(
    spawn(program, args, {
      cwd: PROJECT_ROOT,
      env: { PATH, HOME, NO_COLOR: "1", ...env },
      stdio: ["ignore", "pipe", "pipe"],
    }),
  );
}

describe("a service manager", { skip: process.platform === "win32" && "needs sh" }, () => {
  let folder = "";
  before(() => folder = mkdtempSync(join(tmpdir(), "hotwheels-notify-")));
  after(() => rmSync(folder, { recursive: true }));

  /**
   * What the program that passes states on is told, and what the server complains of. The manager's socket isn't
   * there.
   */
  async function heard(
    act: (manager: ServiceManager) => void,
    { status = 0, afterwards = () => {}, ...variables }: {
      /** The program's exit status. */
      status?: number;
      /** Is called once nothing more should be told. */
      afterwards?: () => void;
      WATCHDOG_USEC?: string;
      WATCHDOG_PID?: string;
    },
  ) {
    const told = join(folder, "told");
    const program = join(folder, "notify");
    writeFileSync(told, "");
    writeFileSync(
      program,
      `#!/bin/sh\nprintf '%s;' "$NOTIFY_SOCKET" "$@" >> ${told}\necho >> ${told}\nexit ${status}\n`,
      { mode: 0o755 },
    );
    const socket = join(folder, "socket");
    const complaints: unknown[] = [];
    const { error } = console;
    console.error = (what) => complaints.push(what);
    try {
      await withEnvironment({
        WATCHDOG_USEC: undefined,
        WATCHDOG_PID: undefined,
        ...variables,
        NOTIFY_SOCKET: socket,
        HOTWHEELS_NOTIFY: program,
      }, async () => {
        const manager = new ServiceManager();
        assertEquals(manager.isThere, true);
        act(manager);
        await manager.end();
        afterwards();
        await manager.end();
      });
    } finally {
      console.error = error;
    }
    const lines = readFileSync(told, "utf8").split("\n").slice(0, -1);
    assertEquals(lines.filter((line) => !line.startsWith(`${socket};`)), []);
    return { told: lines.map((line) => line.slice(socket.length + 1, -1)), complaints, program };
  }

  it("is told each state, one after the other, by a program where its socket can't be", async () => {
    const { told, complaints } = await heard((manager) => {
      manager.ready("listening on 127.0.0.1:8081");
      manager.reloading();
      manager.reloaded();
      manager.stopping(1_500.2);
    }, {});
    assertEquals(told, [
      "READY=1;STATUS=listening on 127.0.0.1:8081",
      "RELOADING=1",
      "READY=1",
      "STOPPING=1;STATUS=stopping;EXTEND_TIMEOUT_USEC=1500200",
    ]);
    assertEquals(complaints, []);
  });

  it("hears of each half of the time that its watchdog has, until the end", async () => {
    const timers = new VirtualTimers();
    try {
      const live = (manager: ServiceManager) => {
        manager.ready("");
        manager.ready("");
        for (let i = 0; i < 3; i++) timers.pass(300);
      };
      const WATCHDOG_USEC = "600000";
      const afterwards = () => timers.pass(6_000);
      const { told } = await heard(live, { WATCHDOG_USEC, afterwards });
      const ready = Array.from({ length: 2 }, () => "READY=1;STATUS=");
      const watched = Array.from({ length: 3 }, () => "WATCHDOG=1");
      assertEquals(told, [...ready, ...watched]);
      assertEquals((await heard(live, { WATCHDOG_USEC, WATCHDOG_PID: "1" })).told, ready);
      const own = await heard(live, { WATCHDOG_USEC, WATCHDOG_PID: `${process.pid}` });
      assertEquals(own.told, [...ready, ...watched]);
    } finally {
      timers.restore();
    }
  });

  it("that can't be told costs one line", async () => {
    const { told, complaints, program } = await heard((manager) => {
      manager.ready("");
      manager.stopping(0);
    }, { status: 3 });
    assertEquals(told.length, 2);
    const words = "hotwheels: can't tell the service manager READY=1";
    assertEquals(complaints, [`${words}: ${program} ended with 3`]);
  });

  it("isn't there unless the environment says so, and costs nothing then", async () => {
    await withEnvironment({ NOTIFY_SOCKET: "", HOTWHEELS_NOTIFY: "/nowhere" }, async () => {
      const manager = new ServiceManager();
      assertEquals(manager.isThere, false);
      manager.ready("");
      await manager.end();
    });
  });
});

for (const runtime of TESTED_RUNTIMES) {
  const skip = process.platform !== "linux"
    ? "there is no systemd here"
    : runtime === "deno" && !hasProgram && "there is no systemd-notify here";
  describe(`a service manager of a server on ${runtime}`, { skip }, () => {
    for (const workers of [1, 2]) {
      it(
        `hears when it is ready, reloads, lives and stops, workers: ${workers}`,
        { timeout },
        async () => {
          const folder = mkdtempSync(join(tmpdir(), "hotwheels-notify-"));
          const socket = join(folder, "notify");
          const receiver = start([
            findProgram("deno").path,
            ...["run", "--quiet", "--allow-all", "--unstable-net", RECEIVER, socket],
          ]);
          /** What it has heard, without what systemd-notify says of itself. */
          const heard = () =>
            receiver.stdout.split("\n").slice(1, -1).map((line) => JSON.parse(line) as string)
              .filter((text) => !text.startsWith("BARRIER"));
          const states = () => heard().map((text) => text.split("\n")[0]);
          try {
            await until("the manager listens", () => receiver.stdout.includes("listening"), 30_000);
            const command = runtime === "bun"
              ? [findProgram("bun").path, "run", "server/main.ts"]
              : ["sh", "cli/hotwheels.sh", "serve", "--runtime", "deno"];
            const flags = ["--host", "127.0.0.1", "--port", "0", "--workers", `${workers}`];
            const server = start([...command, ...flags, "--drain-seconds", "1"], {
              NOTIFY_SOCKET: socket,
              WATCHDOG_USEC: "600000",
            });
            try {
              await until("it is ready", () => states().includes("READY=1"), 30_000);
              assertMatch(heard()[0]!, /^READY=1\nSTATUS=listening on 127\.0\.0\.1:\d+ \(/);
              const watched = () => states().filter((state) => state === "WATCHDOG=1").length;
              await until("it lives", () => watched() >= 3);
              server.signal("SIGHUP");
              await until("it reloads", () => states().includes("RELOADING=1"));
              const later = () => states().slice(states().indexOf("RELOADING=1"));
              await until("it is ready again", () => later().includes("READY=1"));
            } finally {
              server.signal("SIGTERM");
            }
            const { status, stderr } = await server.ended;
            assertEquals(status, 0, stderr);
            await until("it has said so", () => states().includes("STOPPING=1"));
            const last = heard().find((text) => text.startsWith("STOPPING"));
            assertEquals(last, "STOPPING=1\nSTATUS=stopping\nEXTEND_TIMEOUT_USEC=11000000");
            assert(!/service manager/.test(stderr), stderr);
          } finally {
            receiver.signal("SIGTERM");
            await receiver.ended;
            rmSync(folder, { recursive: true });
          }
        },
      );
    }

    it("that is gone costs a line, and no client", { timeout }, async () => {
      const command = runtime === "bun"
        ? [findProgram("bun").path, "run", "server/main.ts"]
        : ["sh", "cli/hotwheels.sh", "serve", "--runtime", "deno"];
      const server = start([...command, "--host", "127.0.0.1", "--port", "0"], {
        NOTIFY_SOCKET: "/nowhere/notify",
        WATCHDOG_USEC: "200000",
      });
      await until("it says so", () => server.stderr.includes("service manager"), 30_000);
      server.signal("SIGTERM");
      const { status, stderr } = await server.ended;
      assertEquals(status, 0);
      const lines = stderr.split("\n").filter((line) => line.includes("service manager"));
      assertEquals(lines.length, 1, stderr);
      assertMatch(lines[0]!, /^hotwheels: can't tell the service manager READY=1: /);
    });
  });
}
