import { assertEquals, assertMatch } from "@std/assert";
import { execFileSync } from "node:child_process";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import {
  type FactSource,
  readMaxBacklog,
  readPortRange,
  readSystemFacts,
} from "../../bots/system_facts.ts";

function closed(): never {
  throw new Error("closed");
}

const CLOSED: FactSource = { env: closed, file: closed, sysctl: closed };

describe("the system's facts", () => {
  it("come from the environment first, which a sandboxed program can read", () => {
    const env = (name: string) =>
      ({ HOTWHEELS_PORT_RANGE: "1024-65535", HOTWHEELS_SOMAXCONN: "128" })[name];
    const source = { ...CLOSED, env, file: () => "1" };
    assertEquals(readPortRange(source), { first: 1024, last: 65_535 });
    assertEquals(readMaxBacklog(source), 128);
  });

  it("come from Linux's files next", () => {
    const file = (path: string) => path.endsWith("somaxconn") ? "4096\n" : "32768\t60999\n";
    const source = { ...CLOSED, env: () => undefined, file };
    assertEquals(readPortRange(source), { first: 32_768, last: 60_999 });
    assertEquals(readMaxBacklog(source), 4096);
  });

  it("come from macOS's settings last", () => {
    const settings: Record<string, string> = {
      "net.inet.ip.portrange.first": "49152\n",
      "net.inet.ip.portrange.last": "65535\n",
      "kern.ipc.somaxconn": "128\n",
    };
    const source = { ...CLOSED, sysctl: (name: string) => settings[name] ?? closed() };
    assertEquals(readPortRange(source), { first: 49_152, last: 65_535 });
    assertEquals(readMaxBacklog(source), 128);
  });

  it("are nothing where no way is open, or what is there makes no sense", () => {
    assertEquals(readPortRange(CLOSED), null);
    assertEquals(readMaxBacklog(CLOSED), null);
    for (const text of ["", "-", "60999-32768", "32768", "unlimited", "1 2 3"]) {
      assertEquals(readPortRange({ ...CLOSED, env: () => text }), null);
    }
    assertEquals(readMaxBacklog({ ...CLOSED, env: () => "many" }), null);
  });

  it("are there for this machine", () => {
    const facts = readSystemFacts();
    assertEquals(facts.cores >= 1, true);
    assertMatch(facts.os, /^[A-Z]/);
  });

  it("are what the shell says for the tasks", () => {
    const script = fileURLToPath(import.meta.resolve("../../bots/system_facts.sh"));
    const said = execFileSync("sh", [script], { encoding: "utf8" });
    assertMatch(
      said,
      /^HOTWHEELS_NOFILE=(\d+|unlimited) HOTWHEELS_PORT_RANGE=\d+-\d+ HOTWHEELS_SOMAXCONN=\d+\n$/,
    );
  });
});
