import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { HELP } from "../../../bots/run/help.ts";
import { parseCommand } from "../../../bots/run/options.ts";
import { EnvironmentError, UsageError } from "../../../cli/command_line.ts";
import { identityFile } from "../../support/identities.ts";

const folder = mkdtempSync(join(tmpdir(), "hotwheels-agent-options-"));
const keyFile = join(folder, "agents.key");
const emptyFile = join(folder, "empty.key");
writeFileSync(keyFile, "# for the agents\nsecret\n");
writeFileSync(emptyFile, "# nothing\n");

const KEY = ["--key-file", keyFile];
const PLACE = ["--agents", "10.0.0.8:9090"];
const LEAD = [...PLACE, ...KEY];
const SERVE = ["--agent", "9090", ...KEY];

describe("the bots' command line with agents", () => {
  after(() => rmSync(folder, { recursive: true }));

  it("names the agents, and has their key in a file", () => {
    const command = parseCommand(["9", "h:1", "--agents", "a:1,[::1]:2", ...KEY]);
    if (command.does !== "run") throw new TypeError(`it wants to ${command.does}`);
    assertEquals(command.options.keys, [], "the key isn't for the server");
    assertEquals(command.options.agents, {
      places: [
        { host: "a", port: 1, name: "a:1" },
        { host: "::1", port: 2, name: "[::1]:2" },
      ],
      key: "secret",
      tls: null,
    });
    const authority = ["--agents-tls", "--agents-ca", identityFile("first", "crt")];
    const secure = parseCommand(["9", ...LEAD, ...authority, "--server-key-file", keyFile]);
    if (secure.does !== "run") throw new TypeError(`it wants to ${secure.does}`);
    assertStringIncludes(secure.options.agents!.tls!.ca!, "BEGIN CERTIFICATE");
    assertEquals(secure.options.keys, ["secret"]);
  });

  it("makes an agent that listens on every interface, or where it says", () => {
    const serve = (...args: string[]) => {
      const command = parseCommand(args);
      return command.does === "serve" ? command.options : null;
    };
    const usual = { hostname: "0.0.0.0", port: 9090, keyFile, mayDial: undefined, tls: null };
    assertEquals(serve(...SERVE), usual);
    assertEquals(serve("--agent", ":9090", ...KEY), usual);
    const more = ["--may-dial", "10.0.0.0/8", "--tls-cert", "c", "--tls-key", "k"];
    assertEquals(serve("--agent", "[::1]:0", ...KEY, ...more), {
      hostname: "::1",
      port: 0,
      keyFile,
      mayDial: "10.0.0.0/8",
      tls: { cert: "c", key: "k" },
    });
  });

  it("has help for each flag", () => {
    const flags = ["agents", "agents-tls", "agents-ca", "server-key-file", "agent", "may-dial"];
    for (const flag of [...flags, "tls-cert", "tls-key"]) {
      assertStringIncludes(HELP, `\n  --${flag}`);
    }
  });

  const mistakes: readonly (readonly [args: string[], says: string])[] = [
    [[...PLACE], "--agents needs --key-file FILE"],
    [["--agents", "10.0.0.8", ...KEY], '"10.0.0.8" has no port'],
    [["--agents", "::1", ...KEY], '"::1" has no port'],
    [["--agents", "a:1,,b:2", ...KEY], '""'],
    [["--agents", "a:0", ...KEY], '"0"'],
    [["9", "--agents", "a:1,a:1", ...KEY], '"a:1" twice'],
    [["--agents", Array.from({ length: 65 }, (_, at) => `a:${at + 1}`).join(), ...KEY], "64"],
    [["1", "--agents", "a:1,b:1", ...KEY], "number of agents, 2, not 1"],
    [["9", ...LEAD, "--storm"], "leave out --agents"],
    [["9", ...LEAD, "--size", "5000000"], "4194304"],
    [["9", ...LEAD, "--key", "of the server"], "--agents-tls"],
    [["9", ...LEAD, "--server-key-file", keyFile], "--agents-tls"],
    [["9", ...LEAD, "--agents-ca", "x"], "--agents-tls"],
    [["--agents-ca", "x"], "--agents-ca is for --agents"],
    [["--agents-tls"], "--agents-tls is for --agents"],
    [["--server-key-file", keyFile], "--server-key-file is for --agents"],
    [["--may-dial", "10.0.0.0/8"], "--may-dial is for an agent"],
    [["--tls-cert", "x"], "--tls-cert is for an agent"],
    [["--agent", "9090"], "--agent needs --key-file FILE"],
    [["--agent", "host", ...KEY], '"host"'],
    [["--agent", "a b:1", ...KEY], '"a b:1"'],
    [["--agent", "::1", ...KEY], '"::1"'],
    [["--agent", "65536", ...KEY], '"65536"'],
    [[...SERVE, "--tls-cert", "x"], "--tls-cert needs --tls-key too"],
    [[...SERVE, "--tls-key", "x"], "--tls-key needs --tls-cert too"],
    [[...SERVE, "100"], '"100"'],
    [[...SERVE, "--rounds", "2"], '"--rounds"'],
    [[...SERVE, "--tls"], '"--tls"'],
    [[...SERVE, ...PLACE], '"--agents"'],
  ];
  for (const [args, says] of mistakes) {
    const shown = args.filter((arg) => !KEY.includes(arg)).map((arg) => arg.slice(0, 20)).join(" ");
    it(`refuses ${shown}, in one line that says why`, () => {
      const error = assertThrows(() => parseCommand(args), UsageError);
      assertStringIncludes(error.message, says);
      assertEquals(error.message.includes("\n"), false);
    });
  }

  it("says which file can't be used", () => {
    for (
      const [args, says] of [
        [[...PLACE, "--key-file", emptyFile], `--key-file ${emptyFile} holds no key`],
        [[...PLACE, "--key-file", "/none"], "can't read --key-file /none: there is no such file"],
        [[...LEAD, "--agents-tls", "--agents-ca", keyFile], "holds no certificate"],
      ] as const
    ) {
      const error = assertThrows(() => parseCommand(["9", ...args]), EnvironmentError);
      assertStringIncludes(error.message, says);
    }
  });
});
