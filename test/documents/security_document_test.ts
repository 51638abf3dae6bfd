import { assert, assertEquals, assertMatch } from "@std/assert";
import { existsSync, readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { PROJECT_ROOT } from "../../cli/program.ts";
import {
  connectionsPerIpFor,
  KEPT_FOR_REFUSALS,
  RESERVED_DESCRIPTORS,
} from "../../host/capacity.ts";
import { DEFAULT_LIMITS, type Limits } from "../../server/limits.ts";
import { FIRST_BYTES_MS, MAX_RECENT_ADDRESSES, MAX_REFUSALS } from "../../server/limits/clients.ts";
import { SUBSCRIPTION_BYTES, TOPIC_BYTES } from "../../server/limits/costs.ts";
import { acceptRateFor, maxMemoryFor, SUPERVISOR_BYTES } from "../../server/limits/derived.ts";
import { CEILING_STEPS, MAX_HOLD_MS } from "../../server/limits/memory.ts";
import { MAX_LINES_PER_SECOND } from "../../server/log/log.ts";
import { parseCommand } from "../../server/command/options.ts";
import { completeLimits } from "../../server/serve.ts";

interface Row {
  readonly flag: string;
  readonly default: string;
  readonly test: string;
}

const text = readFileSync(`${PROJECT_ROOT}SECURITY.md`, "utf8");

function oneLine(text: string): string {
  return text.replaceAll(/\s+/g, " ");
}

/** The rows of the table of limits. */
function rows(): Row[] {
  return [...text.matchAll(/^\|[^|]*\| `(--[a-z-]+)` *\|([^|]*)\|[^|]*\|([^|]*)\|$/gm)]
    .map(([, flag = "", given = "", test = ""]) => ({
      flag,
      default: given.trim(),
      test: test.trim(),
    }));
}

/** A value that each flag may have which takes no time. */
function valueFor(flag: string): string {
  if (flag === "--legacy-idle-timeout") return "99s";
  return flag === "--max-memory" ? "999999999" : "99";
}

/** The limit that a flag sets, and what it sets it to. */
function limitOf(flag: string, value: string): [keyof Limits, unknown] {
  const command = parseCommand([flag, value]);
  assert(command.does === "serve");
  const [limit, ...others] = Object.entries(command.options.limits);
  assertEquals(others, [], `${flag} sets more than one limit`);
  return limit as [keyof Limits, unknown];
}

describe("SECURITY.md", () => {
  it("lists every limit that a server has, and no other", () => {
    const listed = rows().map((row) =>
      limitOf(
        row.flag,
        /^`([\w*]+)`$/.exec(row.default)?.[1] ?? valueFor(row.flag),
      )[0]
    );
    assertEquals(listed.sort(), Object.keys(completeLimits()).sort() as (keyof Limits)[]);
  });

  for (const row of rows()) {
    it(`gives the default of ${row.flag}`, () => {
      const value = /^`([\w*]+)`$/.exec(row.default)?.[1];
      if (value !== undefined) {
        const [name, limit] = limitOf(row.flag, value);
        assertEquals(limit, DEFAULT_LIMITS[name as keyof typeof DEFAULT_LIMITS]);
      } else if (row.default === "none") {
        assertEquals(
          DEFAULT_LIMITS[limitOf(row.flag, valueFor(row.flag))[0] as keyof typeof DEFAULT_LIMITS],
          undefined,
        );
      } else if (row.flag === "--max-connections") {
        assertEquals(row.default, `the descriptor limit less ${RESERVED_DESCRIPTORS}`);
      } else if (row.flag === "--max-connections-per-ip") {
        const less = 10_000 - connectionsPerIpFor(10_000);
        assertEquals(row.default, `${less} or a tenth less than all`);
        assertEquals(connectionsPerIpFor(100), 90);
      } else if (row.flag === "--max-memory") {
        assertEquals([row.default, maxMemoryFor(4e9, 1)], ["¾ of what there is", 3e9]);
      } else {
        assertEquals(row.flag, "--accept-rate");
        assertEquals(row.default, `\`${acceptRateFor(1)}\`, or half of all where that is more`);
        assertEquals(acceptRateFor(50_000), 25_000);
      }
    });

    it(`names a test that there is for ${row.flag}`, () => {
      const [, path = "", name = ""] = /^\[\w+\.ts\]\((test\/[\w/]+_test\.ts)\): (.*)$/.exec(
        row.test,
      ) ?? [];
      assert(existsSync(PROJECT_ROOT + path), row.test);
      const source = oneLine(readFileSync(PROJECT_ROOT + path, "utf8"));
      assert(source.includes(name), `${path} has no test "${name}"`);
    });
  }

  it("links to files that there are", () => {
    for (const [, path = "", heading] of text.matchAll(/\]\(([^)#]+)(?:#([^)]+))?\)/g)) {
      assert(existsSync(PROJECT_ROOT + path), path);
      if (heading === undefined) continue;
      const headings = readFileSync(PROJECT_ROOT + path, "utf8").match(/(?<=^#+ ).*$/gm) ?? [];
      const names = headings.map((one) => one.toLowerCase().replaceAll(" ", "-"));
      assert(names.includes(heading), `${path} has no heading #${heading}`);
    }
  });

  it("gives the steps near the ceiling of memory as they are", () => {
    const shares = [...text.matchAll(/^\| (\d+) %\s*\|[^|]*\| (\d+) %\s*\|$/gm)]
      .map(([, from, until]) => ({ from: Number(from) / 100, until: Number(until) / 100 }));
    assertEquals(shares, Object.values(CEILING_STEPS));
  });

  it("gives the constants as they are", () => {
    const words = oneLine(text);
    assert(words.includes(`- subscriptions, ${SUBSCRIPTION_BYTES} bytes each, and topics, `));
    assert(words.includes(`${TOPIC_BYTES} bytes and their names`));
    assert(words.includes(`else for ${MAX_HOLD_MS / 1_000} s at most`));
    assert(words.includes(`the supervisor takes ${SUPERVISOR_BYTES / 1024 / 1024} MiB`));
    assertMatch(words, new RegExp(`${MAX_LINES_PER_SECOND} a second, and one that sums up`));
    assert(words.includes(MAX_RECENT_ADDRESSES.toLocaleString("en-US")));
    assert(words.includes(`| ${MAX_REFUSALS.toLocaleString("en-US")}, or as many as there are`));
    assert(words.includes(`and ${KEPT_FOR_REFUSALS} at least; then the oldest is told`));
    assert(words.includes(`waited for ${FIRST_BYTES_MS / 1_000} s at most`));
  });
});
