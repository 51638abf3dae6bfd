/**
 * Rules for trying the commands that documents show: as they are written, but with few clients and rounds,
 * on free ports, against servers of the test.
 *
 * @module
 */

/** The servers that a command needs when it is tried. */
export interface Surroundings {
  /** Ports of servers that run meanwhile on every loopback address: one speaks plain TCP, one TLS. */
  readonly port: number;
  readonly tlsPort: number;
}

/** The way in which a command is tried. */
export type Trial =
  /** It ends by itself, with one of these statuses. */
  | { readonly does: "end"; readonly line: string; readonly statuses: readonly number[] }
  /** It serves until its outermost process gets a SIGTERM. */
  | { readonly does: "serve"; readonly line: string }
  /** It goes on, and says this at some time after the next command has ended. */
  | { readonly does: "listen"; readonly line: string; readonly says: string }
  /** It can't be tried here. */
  | { readonly does: "nothing"; readonly because: string };

interface Rule {
  readonly matches: RegExp;
  trial(text: string, surroundings: Surroundings): Trial;
}

/** A run on a busy machine may be no measure of the server, which has a status of its own. */
const MEASURED = [0, 3];

/** The least that every command takes. */
const FEW = "100";

/** The first that matches counts. */
const RULES: readonly Rule[] = [
  because(/^(?:npm ci|npm install|deno install|bun install)$/, "the checkout has what it leaves"),
  because(/^(?:sudo|ulimit) /, "it changes what the system allows, as root"),
  because(
    /^systemctl /,
    "it takes the unit installed; test/server/workers/rolling_upgrade_test.ts signals",
  ),
  because(
    /^(?:npm install hotwheels|npm pack$|(?:npx )?hotwheels\b|eval )/,
    "it takes the package installed; test/launch/package_test.ts plays it",
  ),
  because(/^deno task(?: -q)? sub /, "it waits; test/commands/pub_sub_test.ts publishes to it"),
  because(
    /^deno task(?: -q)? (?:top|trace)\b/,
    "it watches without an end; test/server/admin/admin_command_test.ts ends it",
  ),
  because(/^deno pack$/, "test/launch/package_test.ts makes the package"),
  because(/ build:executable$/, "test/runtime/bundled_test.ts builds it"),
  because(/^deno task(?: -q)? pub$/, "it is part of a command"),
  because(/ hosts(?: |$)/, "it takes root; test/tools/hosts/hosts_test.ts plays it"),
  because(/ --storm/, "its server is to be restarted; test/bots/storm/command_test.ts does that"),
  because(/ --agents? /, "it takes agents elsewhere; test/bots/agents/command_test.ts has some"),
  because(/nats:\/\/|redis:\/\//, "it needs their servers; test/bots/run/rivals_test.ts has some"),
  because(/^(?:bun build --compile|deno compile|deno task)$/, "it is part of a command"),
  because(/^deno run server\/main\.ts$/, "it can't serve; test/launch/sandbox_test.ts hears why"),
  because(
    /^deno task(?: -q)? (?:ok|coverage(?: \S+| \[path …\])?|test:watch \S+)$/,
    "it runs tests, as this one does",
  ),
  because(/^(?:deno test -P|bun test) /, "it runs tests, as this one does"),
  ends(/^npm test$|\btest(?: \[path …\])?$/, (text) => {
    const test = "test/protocol/timestamp_test.ts";
    return `${text.replace(/ \[path …\]$/, "")} ${text.startsWith("npm") ? `-- ${test}` : test}`;
  }),
  ends(/\bdemo(?:\.ts)?(?: \d+| \[n\])?$/, (text) => fewer(text, / (?:\d+|\[n\])$/), MEASURED),
  {
    matches: /^(?:deno task(?: -q)? serve|npm run serve|bun run server\/main\.ts)\b/,
    trial: (text) => {
      const line = text.replace(/ --port \d+/, "").replace(" [flags]", "");
      const own = `${line.startsWith("npm") ? " --" : ""} --host 127.0.0.1 --port 0`;
      return { does: "serve", line: line + own };
    },
  },
  ends(/^(?:deno task(?: -q)? bots|bun run bots\/main\.ts)\b/, (text, { port, tlsPort }) => {
    const [, command, args = ""] = /^(.*?(?: bots|main\.ts))(?= |$)(.*)$/.exec(text)!;
    const [, host = "127.0.0.1"] = /^ \S+ ([\w.]+)/.exec(args.replaceAll(/[[\]]/g, "")) ?? [];
    const flags = / --.*$/.exec(args)?.[0] ?? "";
    const reachable = host === "localhost" ? host : "127.0.0.1";
    return `${command} ${FEW} ${reachable} ${flags.includes("--tls") ? tlsPort : port}${flags}`;
  }, MEASURED),
  ends(/^(?:deno task(?: -q)? soak|bun run tools\/soak\/main\.ts)\b/, (text) => {
    const asked = text.replace(/ --minutes [\d.]+/, "");
    // Of a machine that runs other tests meanwhile, and of no server that is short of memory there.
    const patient = `--max-p99 20s --max-latency 40s${
      text.includes("--door") ? "" : " --door open"
    }`;
    return `${asked} --minutes 0.03 --subscribers 10 --runtime bun ${patient}`;
  }),
  ends(/^(?:deno task(?: -q)? churn|bun run tools\/churn\/main\.ts)\b/, (text) => {
    return `${fewer(text, / \d+/)} --runtime bun`;
  }),
  ends(/^(?:deno task(?: -q)? compare|bun run tools\/compare\/main\.ts)\b/, (text, { port }) => {
    const published = "docs/reports/2026-11-23-deno-bun-19000/report.json --out reports/remade";
    if (text.includes("--from")) return text.replace(/(?<=--from )\S+/, published);
    const few = fewer(
      text.replace(/--sweep \S+/, "--sweep 10,20"),
      /(?<=compare(?:\/main\.ts)?) (?:\d+|\[n\])/,
    );
    const here = few.replaceAll(/=10\.[\d.]+:\d+/g, `=127.0.0.1:${port}`);
    return `${here.replace(/ --(?:runs|rounds) \d+/g, "")} --runs 1 --rounds 1`;
  }),
  ends(/^(?:deno task(?: -q)? doctor|bun run tools\/doctor\/main\.ts)\b/, (text) => {
    return fewer(text, / (?:\d+|\[n\])/);
  }),
  ends(/^deno task(?: -q)? pub /, (text, { port }) => `${text} --host 127.0.0.1 --port ${port}`),
  ends(/\bbench:fanout$|\bfanout\.ts$/, (text) => {
    return `${text} --cases 20x1x4 --workers 1 --passes 1 --rounds 1`;
  }),
  ends(/\bbench:beside$/, (text) => `${text} --subscribers 20 --samples 5 --passes 1`),
  ends(/\bbench:stalled$/, (text) => `${text} --subscribers 20 --rounds 1 --passes 1`),
  ends(
    /\bbench:websockets$/,
    (text) => `${text} --servers bun --subscribers 20 --rounds 1 --passes 1`,
  ),
  ends(/\bbench:workloads$/, (text) => {
    return `${text} --workloads 1-to-1,ping-pong --divide 50 --servers bun --passes 1 --rounds 1`;
  }),
  ends(/\bbench$/, (text) => `${text} --ms 1`),
  ends(/^openssl /, (text) => `${text} 2>/dev/null`),
  {
    matches: /\| nc .*\btr\b/,
    trial: (text, { port }) => ({
      does: "listen",
      line: text.replace(/8081/, String(port)),
      says: "hello",
    }),
  },
  ends(/\| nc /, (text, { port }) => text.replace(/8081/, String(port))),
];

/**
 * The way in which a command is tried; `null` if no rule knows it.
 *
 * @param from Which documents show it.
 */
export function trialOf(
  { text, from }: { readonly text: string; readonly from: readonly string[] },
  surroundings: Surroundings,
): Trial | null {
  if (from.every((document) => document.startsWith("deploy/ec2/"))) {
    const because = "it takes an account with AWS; test/deploy/runbook_test.ts plays it";
    return { does: "nothing", because };
  }
  return RULES.find(({ matches }) => matches.test(text))?.trial(text, surroundings) ?? null;
}

function because(matches: RegExp, because: string): Rule {
  return { matches, trial: () => ({ does: "nothing", because }) };
}

function ends(
  matches: RegExp,
  line: (text: string, surroundings: Surroundings) => string,
  statuses: readonly number[] = [0],
): Rule {
  return {
    matches,
    trial: (text, surroundings) => ({ does: "end", line: line(text, surroundings), statuses }),
  };
}

/** With few clients in place of those that `n` finds, or of the default. */
function fewer(text: string, n: RegExp): string {
  const few = ` ${FEW}`;
  if (n.test(text)) return text.replace(n, few);
  return text.replace(/^((?:npm run|deno task(?: -q)?|bun run) \S+)/, `$1${few}`);
}
