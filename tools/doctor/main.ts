/**
 * The doctor's command; see `--help`.
 *
 * @module
 */

import { counted } from "../../cli/counted.ts";
import { answer, runCommand } from "../../cli/command.ts";
import { CommandLine, wholeNumber } from "../../cli/command_line.ts";
import { detectRuntime } from "../../runtime/detect.ts";
import { readAllFacts, type SystemFacts } from "../../host/facts.ts";
import { type Finding, remedyLines } from "../../host/finding.ts";
import { checkUp, type CheckupNeed, type Role, ROLES } from "./checkup.ts";
import { type Ec2Instance, metadataEndpoint, readInstance } from "./ec2_metadata.ts";
import { MAX_BOTS, MAX_WORKERS } from "../../bots/run/limits.ts";
import { wrapped } from "../../cli/plain_text.ts";
import type { RuntimeName } from "../../cli/program.ts";

const HELP = `Hotwheels doctor: checks whether this machine can hold n clients, and prints the
commands that help if it can't.

Usage:
  hotwheels doctor [n] [flags]
  deno task -q doctor [n] [flags]
  bun run tools/doctor/main.ts [n] [flags]

  n                how many clients (default 20000), all of one address, as
                   those of a load test; their publisher is counted on top

Flags:
  --role ROLE      what is to run here: both (the default), server or bots
  --workers N      the server's processes (default 1)
  --ec2            ask EC2's metadata service, also where this doesn't look like
                   EC2
  --json           print JSON instead
  -h, --help       print this
  --version        print the version

The doctor assumes the server's default limits. It estimates the memory for the
runtime that runs it. Each line says fine, note (it works, but not well) or
fatal (it can't work). The exit status is 1 if something is fatal, and 0 if not.
`;

/** The version of the JSON. */
const SCHEMA = "hotwheels-doctor/1";

const DEFAULT_CLIENTS = 20_000;

const NO_ANSWER: Ec2Instance = {
  instanceType: null,
  availabilityZone: null,
  region: null,
  amiId: null,
  instanceId: null,
};

const PARTS: Readonly<Record<Role, string>> = {
  both: "server and bots",
  server: "the server",
  bots: "the bots",
};

if (import.meta.main) await runCommand("doctor", main);

async function main(args: readonly string[]): Promise<number> {
  const line = new CommandLine(args, ["role", "workers"], ["ec2", "json"]);
  if (line.question !== undefined) return answer(line.question, HELP);
  const [n] = line.upTo(1, "n is all");
  const runtime = await detectRuntime();
  const need: CheckupNeed = {
    n: n === undefined ? DEFAULT_CLIENTS : wholeNumber(n, "n", 1, MAX_BOTS),
    role: line.choice("role", ROLES) ?? "both",
    workers: line.number("workers", 1, MAX_WORKERS) ?? 1,
    runtime: runtime.name as RuntimeName,
  };
  const facts = readAllFacts();
  const findings = checkUp(need, facts, await findInstance(line.has("ec2"), facts));
  const isFatal = findings.some((finding) => finding.isFatal);
  console.log(line.has("json") ? json(need, findings) : text(need, facts, findings));
  return isFatal ? 1 : 0;
}

async function findInstance(isAsked: boolean, { vendor }: SystemFacts) {
  if (!isAsked && vendor !== "Amazon EC2") return null;
  const instance = await readInstance(metadataEndpoint());
  return instance ?? (isAsked ? NO_ANSWER : null);
}

function text(
  { n, role, workers, runtime }: CheckupNeed,
  facts: SystemFacts,
  findings: readonly Finding[],
): string {
  const processes = role === "bots" || workers === 1 ? "" : ` with ${workers} workers`;
  const width = Math.max(...findings.map(({ about }) => about.length));
  const lines = [
    `${counted(n, "client")}, ${PARTS[role]}${processes} on ${runtime}, on this machine ` +
    `(${facts.os}, ${facts.cores} ${facts.cores === 1 ? "core" : "cores"}):`,
    "",
  ];
  for (const finding of findings) {
    const { about, says } = finding;
    const head = `${level(finding).padEnd(5)}  ${about.padEnd(width)}  `;
    lines.push(...wrapped(says, head, " ".repeat(head.length)));
    lines.push(...remedyLines(finding).map((line) => `       ${line}`));
  }
  const toMend = findings.filter(({ isFine }) => !isFine).length;
  lines.push("", toMend === 0 ? "everything is fine" : `${toMend} to mend; see above for how`);
  return lines.join("\n");
}

function json({ n, role, workers, runtime }: CheckupNeed, findings: readonly Finding[]): string {
  const checks = findings.map((finding) => ({
    about: finding.about,
    level: level(finding),
    says: finding.says,
    remedies: finding.remedies,
  }));
  return JSON.stringify({ schema: SCHEMA, n, role, workers, runtime, checks }, null, 2);
}

function level({ isFine, isFatal }: Finding): "fine" | "note" | "fatal" {
  return isFine ? "fine" : isFatal ? "fatal" : "note";
}
