import { assert, assertEquals, assertMatch } from "@std/assert";
import { parse } from "@std/jsonc/parse";
import { describe, it } from "node:test";
import type { ValueFlag } from "../../../server/command/flags.ts";
import { parseCommand } from "../../../server/command/options.ts";
import { configurationText } from "../../../server/command/print_config.ts";
import type { Limits } from "../../../server/limits.ts";
import { completeLimits } from "../../../server/serve.ts";

/** For each flag a value that isn't its default. */
const OTHER_VALUES: Readonly<Record<Exclude<ValueFlag, "config">, string>> = {
  "host": "::1",
  "port": "1",
  "ws-port": "2",
  "ws-origins": "https://example.com,example.org",
  "workers": "3",
  "tls-cert": "/etc/cert",
  "tls-key": "/etc/key",
  "log-level": "error",
  "log-format": "json",
  "max-connections": "101",
  "max-connections-per-ip": "102",
  "accept-rate": "103",
  "max-frame-bytes": "104",
  "max-topic-bytes": "105",
  "max-topics": "106",
  "max-topics-total": "107",
  "max-pending-bytes": "1108",
  "soft-pending-bytes": "1109",
  "soft-pending-time": "1500ms",
  "max-total-pending-bytes": "1110",
  "max-memory": "9876543210",
  "publish-from": "127.0.0.0/8,::1",
  "subscribe-from": "10.0.0.0/8",
  "publish-from-file": "/etc/publish-from",
  "subscribe-from-file": "/etc/subscribe-from",
  "publish-key-file": "/etc/publish-key",
  "subscribe-key-file": "/etc/subscribe-key",
  "max-wrong-keys": "111",
  "publish-rate": "112",
  "publish-bytes-rate": "1113",
  "write-deadline": "11s",
  "ping-after": "12s",
  "idle-timeout": "13s",
  "legacy-idle-timeout": "14s",
  "history-time": "15s",
  "history-messages": "114",
  "history-bytes": "115",
  "history-total-bytes": "116",
  "history-topics": "a*,b",
  "history-file": "/var/history",
  "cluster": "tls://a:1,tls://[::1]:4222",
  "cluster-name": "other",
  "cluster-credentials": "/etc/credentials",
  "cluster-ca": "/etc/ca",
  "cluster-log-bytes": "1048577",
  "cluster-log-time": "16s",
  "drain-seconds": "17",
  "drain-delay": "18",
  "admin": "[::1]:19",
  "admin-key-file": "/etc/admin-key",
  "metrics-topics": "c,d",
};

/** What `--print-config` prints with these flags, where descriptors suffice or these limits are in force. */
function printedOf(flags: readonly string[], inForce: Partial<Limits> = {}): string {
  const command = parseCommand(["--print-config", ...flags]);
  assert(command.does === "print_config");
  const { options, sourceOf } = command;
  const limits = { ...completeLimits(options.limits, options.workers), ...inForce };
  return configurationText({ options, limits, sourceOf });
}

describe("a printed configuration", () => {
  it("has each flag's value, in the words in which a file may have it", () => {
    const flags = Object.entries(OTHER_VALUES).flatMap(([flag, value]) => [`--${flag}`, value]);
    const values = parse(printedOf(flags)) as Record<string, unknown>;
    const shown = Object.entries(values).map(([flag, value]) => [flag, String(value)]);
    assertEquals(Object.fromEntries(shown), OTHER_VALUES);
    const lists = ["ws-origins", "publish-from", "history-topics", "cluster", "metrics-topics"];
    for (const flag of lists) assert(Array.isArray(values[flag]), flag);
  });

  it("says where each value is from, and which flags have none", () => {
    const text = printedOf(["--port", "1"]);
    assertMatch(text, /^ {2}"port": 1, \/\/ --port$/m);
    assertMatch(text, /^ {2}"drain-delay": 0, \/\/ default$/m);
    for (const flag of ["tls-cert", "legacy-idle-timeout", "cluster", "admin", "metrics-topics"]) {
      assertMatch(text, new RegExp(`^  // "${flag}" has no value$`, "m"));
    }
  });

  it("says where descriptors allow fewer connections than it asks for", () => {
    assertMatch(
      printedOf(["--max-connections", "500"], { maxConnections: 100 }),
      /"max-connections": 100, \/\/ --max-connections, which asks for 500: the descriptor limit/,
    );
    const asked = printedOf(["--max-connections", "500"]);
    assertMatch(asked, /"max-connections": 500, \/\/ --max-connections$/m);
  });

  it("shows neither a cluster's user nor its password", () => {
    for (const login of ["someone:s3cret", "t0ken"]) {
      const text = printedOf(["--cluster", `nats://${login}@a,nats://b`]);
      assertMatch(text, /"cluster": \["nats:\/\/a:4222","nats:\/\/b:4222"\], \/\/ --cluster$/m);
      assertEquals(/someone|s3cret|t0ken/.exec(text), null);
    }
  });
});
