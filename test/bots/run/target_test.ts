import { assertEquals, assertRejects } from "@std/assert";
import { describe, it } from "node:test";
import { type BotsTarget, findTarget } from "../../../bots/run/target.ts";
import { EnvironmentError } from "../../../cli/command_line.ts";
import { detectRuntime } from "../../../runtime/detect.ts";
import { ScriptedServer } from "./scripted_server.ts";

/** A range so small that five bots are many. */
const NARROW = { first: 1, last: 10 };

async function find(
  serverHost: string,
  options: { n: number; host: string; spread: number | "auto" },
): Promise<BotsTarget> {
  const server = await ScriptedServer.start({}, serverHost);
  try {
    return await findTarget(await detectRuntime(), {
      ...options,
      dialect: "janus",
      port: server.port,
      tls: null,
    }, NARROW);
  } finally {
    await server.stop();
  }
}

describe("the target", () => {
  it("is the address behind the name", async () => {
    const target = await find("127.0.0.1", { n: 1, host: "localhost", spread: "auto" });
    assertEquals(target, { addresses: ["127.0.0.1"], isLoopback: true });
  });

  it("is as many loopback addresses as the ports call for", async () => {
    const target = await find("0.0.0.0", { n: 9, host: "127.0.0.1", spread: "auto" });
    assertEquals(target.addresses, ["127.0.0.1", "127.0.0.2", "127.0.0.3"]);
  });

  it("is as many as are asked for", async () => {
    const target = await find("0.0.0.0", { n: 1, host: "127.0.0.5", spread: 2 });
    assertEquals(target.addresses, ["127.0.0.5", "127.0.0.6"]);
  });

  it("is those at which the server answers, unless more are asked for", async () => {
    const target = await find("127.0.0.1", { n: 9, host: "127.0.0.1", spread: "auto" });
    assertEquals(target.addresses, ["127.0.0.1"]);
    await assertRejects(
      () => find("127.0.0.1", { n: 9, host: "127.0.0.1", spread: 2 }),
      EnvironmentError,
      "--spread 2 needs a server that listens on every loopback address",
    );
  });

  it("is nowhere when the name has no address", async () => {
    await assertRejects(
      () => find("127.0.0.1", { n: 1, host: "nobody.invalid", spread: 1 }),
      EnvironmentError,
      "nobody.invalid",
    );
  });
});
