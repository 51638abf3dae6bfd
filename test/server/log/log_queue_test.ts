import { assertEquals, assertMatch } from "@std/assert";
import { spawn } from "node:child_process";
import process from "node:process";
import { describe, it } from "node:test";
import { childEnvironment, PROJECT_ROOT } from "../../../cli/program.ts";
import { LogQueue } from "../../../server/log/log_queue.ts";
import { directCommand } from "../../support/processes/server_command.ts";
import { JanusClient, message, publish } from "../../support/clients/janus_client.ts";
import { TESTED_RUNTIMES } from "../../support/processes/tested_runtimes.ts";
import { quiet, until } from "../../support/until.ts";

const decoder = new TextDecoder();

/** A queue of so many bytes, each write of which lasts until it is released. */
function heldQueue(maxBytes: number) {
  const written: string[] = [];
  let finish = () => {};
  const write = (bytes: Uint8Array) => {
    written.push(decoder.decode(bytes));
    return new Promise<void>((resolve) => finish = resolve);
  };
  const queue = new LogQueue(write, maxBytes, (count) => `${count} lost\n`);
  return { queue, written, release: () => finish() };
}

describe("what waits for the log's reader", () => {
  it("is written in order, and joined while something is being written", async () => {
    const { queue, written, release } = heldQueue(100);
    queue.add("one\n");
    queue.add("two\n");
    queue.add("three\n");
    assertEquals(written, ["one\n"]);
    release();
    await quiet(1);
    assertEquals(written, ["one\n", "two\nthree\n"]);
    release();
    await queue.flushed(10_000);
  });

  it("is bounded; what doesn't fit is counted, and the log tells", async () => {
    const { queue, written, release } = heldQueue(10);
    for (let i = 0; i < 1_000; i++) queue.add(`${String(i).padStart(4)}\n`);
    await queue.flushed(1);
    release();
    await quiet(1);
    release();
    await quiet(1);
    assertEquals(written, ["   0\n", "   1\n998 lost\n"]);
    queue.add("next\n");
    release();
    await quiet(1);
    release();
    assertEquals(written.join(""), "   0\n   1\n998 lost\nnext\n");
  });

  it("goes on behind a write that failed", async () => {
    const written: string[] = [];
    const queue = new LogQueue(
      (bytes) => {
        if (written.push(decoder.decode(bytes)) === 1) return Promise.reject(new Error("EPIPE"));
        return Promise.resolve();
      },
      100,
      (count) => `${count} lost\n`,
    );
    queue.add("one\n");
    await queue.flushed(10_000);
    queue.add("two\n");
    await queue.flushed(10_000);
    assertEquals(written, ["one\n", "two\n"]);
  });
});

/**
 * A shell line that runs a command whose standard error is a pipe which is full, and which no process
 * reads; its standard output is ours.
 */
const UNREAD = `exec 3>&1; { head -c 65536 /dev/zero >&2; exec "$@" >&3; } 2>&1 | exec sleep 60`;

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

for (const runtime of TESTED_RUNTIMES) {
  describe(`the server's log on ${runtime}`, () => {
    it(
      "delays neither the server nor its end when its reader is gone",
      { timeout: 60_000 },
      async () => {
        const command = [...directCommand(runtime), "--host", "127.0.0.1", "--port", "0"];
        const child = spawn("sh", ["-c", UNREAD, "sh", ...command], {
          cwd: PROJECT_ROOT,
          env: childEnvironment(),
          stdio: ["ignore", "pipe", "inherit"],
          detached: true,
        });
        let said = "";
        child.stdout!.setEncoding("utf8").on("data", (text: string) => said += text);
        try {
          await until("it listens", () => said.includes("\n"), 30_000);
          const [, port, pid] = /:(\d+) .* pid (\d+)/.exec(said) ?? [];
          const target = { hostname: "127.0.0.1", port: Number(port) };
          const reader = await JanusClient.subscribed(target, "t");
          const publisher = await JanusClient.greeted(target);
          for (let i = 0; i < 30; i++) {
            const wrong = await JanusClient.greeted(target);
            wrong.send("nonsense\0");
            await wrong.closed();
            await wrong.dispose();
            publisher.send(publish(message("t", i)));
            assertMatch(await reader.frame(), new RegExp(`"data":${i}}$`));
          }
          for (const client of [reader, publisher]) await client.dispose();
          process.kill(Number(pid), "SIGTERM");
          await until("it has ended", () => !isRunning(Number(pid)), 30_000);
        } finally {
          process.kill(-child.pid!, "SIGKILL");
        }
      },
    );
  });
}
