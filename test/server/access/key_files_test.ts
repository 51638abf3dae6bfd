import { assertEquals, assertMatch, assertThrows } from "@std/assert";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { describe, it } from "node:test";
import { readKeys } from "../../../bots/client/keys.ts";
import { EnvironmentError } from "../../../cli/command_line.ts";
import { readKeyFile } from "../../../cli/key_file.ts";
import { authenticate, errorOf, JanusClient } from "../../support/clients/janus_client.ts";
import { directCommand, ServerCommand } from "../../support/processes/server_command.ts";
import { TESTED_RUNTIMES } from "../../support/processes/tested_runtimes.ts";
import { until } from "../../support/until.ts";

const STRONG = "3b0d7f1ce2a94586";

/** Bytes from text, each character up to U+00FF one byte. */
function latin1(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

/** Text as a Windows editor saves it where it's told "Unicode". */
function utf16(text: string, mark: string): Uint8Array {
  const wide = [...text].map((character) =>
    mark === "\xff\xfe" ? `${character}\0` : `\0${character}`
  );
  return latin1(mark + wide.join(""));
}

function withFile<T>(test: (path: string) => T): T {
  const folder = mkdtempSync(join(tmpdir(), "hotwheels-keys-"));
  const path = join(folder, "keys");
  writeFileSync(path, "", { mode: 0o600 });
  const remove = () => rmSync(folder, { recursive: true });
  let result: T;
  try {
    result = test(path);
  } catch (error) {
    remove();
    throw error;
  }
  if (result instanceof Promise) return result.finally(remove) as T;
  remove();
  return result;
}

/** Files that hold no keys to rely on, and what the one line about them must say. */
const UNUSABLE: readonly (readonly [string, Uint8Array, RegExp])[] = [
  ["bytes of chance", latin1("good\n\xde\xad\xbe\xef\n"), /line 2 of ".*" isn't UTF-8: .*openssl/],
  ["Latin-1", latin1("# die Schl\xfcssel\nkey\n"), /line 1 of ".*" isn't UTF-8: /],
  ["half a character", latin1("key\xc3"), /line 1 of ".*" isn't UTF-8: /],
  ["UTF-16", utf16("key\n", "\xff\xfe"), /line 1 of ".*" begins as UTF-16 does: save .* UTF-8/],
  ["the other UTF-16", utf16("key\n", "\xfe\xff"), /line 1 of ".*" begins as UTF-16 does: save/],
  ["UTF-16 without a mark", utf16("key\nb\n", ""), /line 1 of ".*" has a NUL byte, as UTF-16/],
  ["a NUL", latin1("a\nb\nk\0ey\n"), /line 3 of ".*" has a NUL byte, as UTF-16/],
];

describe("a file of keys", () => {
  it("has one a line, and comments", () => {
    const cases: readonly (readonly [string, readonly string[]])[] = [
      ["a\nb", ["a", "b"]],
      ["\r\n  a key \t\r\n\n", ["a key"]],
      ["# a comment\n#another\n  # a third\nkey # not a comment\n", ["key # not a comment"]],
      ["\\#key\n\\\\#key\n\\key\n\\\\key\n", ["#key", "\\#key", "\\key", "\\\\key"]],
      ["\xef\xbb\xbfkey\n", ["key"]],
      ["\xef\xbb\xbf# a comment\n", []],
      ["k\xc3\xa9y\n", ["kéy"]],
      ["", []],
      ["#\n\n", []],
    ];
    withFile((path) => {
      for (const [text, keys] of cases) {
        writeFileSync(path, latin1(text));
        assertEquals(readKeyFile("the keys", path).map(({ key }) => key), keys, text);
        if (keys.length > 0) assertEquals(readKeys([], [path]), [keys[0]!]);
        else assertThrows(() => readKeys([], [path]), EnvironmentError, "holds no key");
      }
    });
  });

  it("is none where it isn't text in UTF-8, for bots too", () => {
    withFile((path) => {
      for (const [what, bytes, says] of UNUSABLE) {
        writeFileSync(path, bytes);
        const { message } = assertThrows(() => readKeyFile("the keys", path), EnvironmentError);
        assertMatch(message, says, what);
        assertMatch(assertThrows(() => readKeys([], [path]), EnvironmentError).message, says);
      }
    });
  });
});

for (const runtime of TESTED_RUNTIMES) {
  describe(`a file of keys for a server on ${runtime}`, () => {
    it("ends it in one line where it can't be used, with status 1", async () => {
      await withFile(async (path) => {
        for (const [, bytes, says] of UNUSABLE) {
          writeFileSync(path, bytes);
          const flags = ["--port", "0", "--publish-key-file", path];
          const exit = await new ServerCommand(directCommand(runtime), flags).exited();
          assertEquals([exit.status, exit.stdout], [1, ""]);
          assertMatch(exit.stderr, /^hotwheels: [^\n]+\n$/);
          assertMatch(exit.stderr, says);
        }
      });
    });

    it("holds no key where a line is a comment", async () => {
      await withFile(async (path) => {
        writeFileSync(path, `# ${STRONG}\n${STRONG}\n`);
        const server = await ServerCommand.listening(runtime, ["--publish-key-file", path]);
        try {
          for (const key of [`# ${STRONG}`, STRONG]) {
            const client = await JanusClient.greeted(server);
            client.send(authenticate(key));
            const frame = await client.frame();
            if (key === STRONG) assertEquals(frame, "ACK");
            else assertEquals(errorOf(frame).code, "forbidden");
            await client.dispose();
          }
          assertEquals(server.stderr.includes("guessed"), false);
        } finally {
          await server.dispose();
        }
      });
    });

    const skip = process.platform === "win32" ? "there are no such modes" : false;
    it(
      "is warned of where it's weak, at the start and when it's read again",
      { skip },
      async () => {
        await withFile(async (path) => {
          writeFileSync(path, `x\n${STRONG}\n#\nshort\n`);
          chmodSync(path, 0o644);
          const server = await ServerCommand.listening(runtime, ["--subscribe-key-file", path]);
          try {
            assertMatch(
              server.stderr,
              /^hotwheels: the key on line 1 and of 1 more of "[^\n]*keys" may be guessed, [^\n]*\nhotwheels: every user of this machine may read the keys in "[^\n]*": chmod o-r [^\n]*\n$/,
            );
            writeFileSync(path, `${STRONG}\nshort\n`);
            const said = server.stderr.length;
            process.kill(server.pid, "SIGHUP");
            await until("it's read", () => server.stderr.includes("are renewed"));
            assertMatch(
              server.stderr.slice(said),
              /^\S+ \[warning\] hotwheels: the key on line 2 of "[^\n]*" may be guessed, [^\n]*\n\S+ \[warning\] hotwheels: every user [^\n]*\n\S+ \[info\] [^\n]*renewed\n$/,
            );
            assertEquals(
              /short\b(?!er)|\bx\b/.test(server.stderr.replace(/being shorter/g, "")),
              false,
            );

            chmodSync(path, 0o640);
            writeFileSync(path, `${STRONG}\n`);
            const before = server.stderr.length;
            process.kill(server.pid, "SIGHUP");
            await until("it's read", () => server.stderr.slice(before).includes("are renewed"));
            assertMatch(server.stderr.slice(before), /^\S+ \[info\] [^\n]*renewed\n$/);
          } finally {
            await server.dispose();
          }
        });
      },
    );
  });
}
