import {
  assert,
  assertEquals,
  assertMatch,
  assertNotMatch,
  assertStringIncludes,
} from "@std/assert";
import { spawnSync } from "node:child_process";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(import.meta.resolve("../../"));
const COMMIT = "0123456789abcdef0123456789abcdef01234567";

/** The runbook's commands, in order. */
function commands(): string {
  const text = readFileSync(join(root, "deploy", "ec2", "README.md"), "utf8");
  return [...text.matchAll(/^```sh\n([\s\S]*?)^```$/gm)].map(([, block]) => block).join("");
}

/**
 * Programs that only note how they were called, and answer as the real ones do. `aws` also notes the
 * user data, which is gone in the end.
 */
const PROGRAMS = {
  aws: `echo "aws $*" >> "$CALLS"
    for word; do case $word in file://*.yaml) cat "\${word#file://}" >> "$USER_DATA";; esac; done
    case "$2 $*" in
      create-security-group*) echo sg-1;;
      describe-instance-type-offerings*) echo eu-central-1b;;
      describe-subnets*) echo subnet-1;;
      run-instances*server.yaml*) echo i-server;;
      run-instances*bots.yaml*)
        if [ -e "$CALLS.bots" ]; then echo i-more; else : > "$CALLS.bots"; echo i-bots; fi;;
      describe-instances*i-server*PublicIp*) echo 203.0.113.1;;
      describe-instances*i-more*PublicIp*) echo 203.0.113.3;;
      describe-instances*i-bots*PrivateIp*) echo 10.0.0.2;;
      describe-instances*i-more*PrivateIp*) echo 10.0.0.3;;
      describe-instances*i-bots*PublicIp*) echo 203.0.113.2;;
      describe-instances*PrivateIp*) echo 10.0.0.1;;
    esac`,
  ssh: `for host; do case $host in ec2-user@*) break;; esac; done
    while [ "$1" != "$host" ]; do shift; done
    shift
    echo "$host: $*" >> "$CALLS"
    case $* in
      *"tar cz"*) tar cz -C "$REPORT" .;;
      *ethtool*) echo "     pps_allowance_exceeded: 0";;
      *"cat >agents.key"*) cat >> "$CALLS";;
    esac`,
  "ssh-keygen": `for path; do :; done; echo key > "$path"; echo key > "$path.pub"`,
  curl: "echo 198.51.100.7",
  git: `case $1 in remote) echo "$REPOSITORY_URL";; rev-parse) echo ${COMMIT};;
    archive) echo "git $*" >> "$CALLS";; esac`,
};

interface Played {
  readonly calls: readonly string[];
  readonly userData: string;
  readonly stdout: string;
}

/** Plays the runbook from its first command to its last. */
function play(repository: string, change: (text: string) => string = (text) => text): Played {
  const folder = mkdtempSync(join(tmpdir(), "hotwheels-runbook-"));
  try {
    for (const name of ["bin", "report", "tmp"]) mkdirSync(join(folder, name));
    for (const [name, body] of Object.entries(PROGRAMS)) {
      writeFileSync(join(folder, "bin", name), `#!/bin/sh\n${body}\n`, { mode: 0o755 });
    }
    writeFileSync(join(folder, "report", "report.html"), "a report");
    symlinkSync(join(root, "deploy"), join(folder, "deploy"));
    const calls = join(folder, "calls");
    const userData = join(folder, "user-data");
    const { status, stdout, stderr } = spawnSync("sh", ["-eu", "-c", change(commands())], {
      cwd: folder,
      encoding: "utf8",
      env: {
        PATH: `${join(folder, "bin")}:${process.env["PATH"]}`,
        TMPDIR: join(folder, "tmp"),
        CALLS: calls,
        USER_DATA: userData,
        REPORT: join(folder, "report"),
        REPOSITORY_URL: repository,
      },
    });
    assertEquals([status, stderr], [0, ""]);
    const [report] = readdirSync(join(folder, "reports"));
    assertEquals(readdirSync(join(folder, "reports", report!)), ["report.html"]);
    assertEquals(readdirSync(join(folder, "tmp")), []);
    return {
      calls: readFileSync(calls, "utf8").trim().split("\n"),
      userData: readFileSync(userData, "utf8"),
      stdout,
    };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

describe("the runbook", { skip: process.platform === "win32" && "needs a POSIX shell" }, () => {
  const { calls, userData, stdout } = play("https://example.org/hotwheels.git");
  const find = (text: string) => calls.filter((call) => call.includes(text));

  it("launches a server and bots, each with its commit and the same guards", () => {
    const launches = find("run-instances");
    assertEquals(launches.length, 3);
    for (const launch of launches) {
      assertStringIncludes(launch, "--instance-type t4g.small ");
      assertStringIncludes(launch, "--instance-initiated-shutdown-behavior terminate ");
      assertStringIncludes(launch, "--metadata-options HttpTokens=required ");
      assertStringIncludes(launch, "--credit-specification=CpuCredits=unlimited ");
      assertStringIncludes(launch, "--security-group-ids sg-1 --subnet-id subnet-1 ");
    }
    assertNotMatch(userData, /@[A-Z]+@/);
    assertEquals(
      userData.match(/clone, --quiet, "https:\/\/example\.org\/hotwheels\.git"/g)!.length,
      3,
    );
    assertEquals(userData.match(new RegExp(`"${COMMIT}"`, "g"))!.length, 3);
  });

  it("opens the servers to the bots only, and SSH to the operator", () => {
    const [rule] = find("authorize-security-group-ingress");
    assertStringIncludes(rule!, "FromPort=22,ToPort=22,IpRanges=[{CidrIp=198.51.100.7/32}]");
    assertStringIncludes(rule!, "FromPort=8081,ToPort=8082,UserIdGroupPairs=[{GroupId=sg-1}]");
    assertEquals(find("0.0.0.0").length, 0);
  });

  it("plays the bounty and the comparison from the bots' instance", () => {
    for (const port of [8081, 8082]) {
      const [bounty] = find(`bots/main.ts 20000 10.0.0.1 ${port} --slo 1s`);
      assertMatch(bounty!, /^ec2-user@203\.0\.113\.2: /);
    }
    const [comparison] = find("tools/compare/main.ts");
    assertMatch(comparison!, /^ec2-user@203\.0\.113\.2: .* 20000 --ec2 --out \/tmp\/report /);
    assertStringIncludes(comparison!, "--target Deno=10.0.0.1:8081 --target Bun=10.0.0.1:8082");
    assertStringIncludes(stdout, "the server's instance kept within its allowances");
    assertStringIncludes(stdout, "report.html");
  });

  it("plays it again with the bots of two instances, which share a key of this run", () => {
    const [rule] = find("FromPort=9090");
    assertStringIncludes(rule!, "ToPort=9090,UserIdGroupPairs=[{GroupId=sg-1}]");
    assertEquals(find("--agent 9090").map((call) => call.split(":")[0]), [
      "ec2-user@203.0.113.2",
      "ec2-user@203.0.113.3",
    ]);
    const keys = calls.filter((call) => /^[0-9a-f]{64}$/.test(call));
    assertEquals([keys.length, new Set(keys).size], [2, 1]);
    const runs = find("--agents ");
    assertEquals(runs.length, 2);
    for (const run of runs) {
      assertMatch(run, /^ec2-user@203\.0\.113\.2: .* 20000 10\.0\.0\.1 808[12] --slo 1s /);
    }
    assertEquals(
      calls.filter((call) => call.includes("--agents 10.0.0.2:9090,10.0.0.3:9090")).length,
      2,
    );
  });

  it("removes everything that it made, the instances first", () => {
    const ends = [
      "terminate-instances",
      "instance-terminated",
      "delete-security-group",
      "delete-key",
    ];
    const at = ends.map((end) => calls.findIndex((call) => call.includes(end)));
    assertEquals(at.includes(-1), false);
    assertEquals(at, at.toSorted((a, b) => a - b));
    assertStringIncludes(calls[at[0]!]!, "--instance-ids i-server i-bots i-more ");
    assertStringIncludes(calls[at[2]!]!, "--group-id sg-1");
    const [imported] = find("import-key-pair");
    const name = /--key-name (\S+)/.exec(imported!)![1]!;
    assertStringIncludes(calls[at[3]!]!, `--key-name ${name}`);
  });

  it("asks no credits of an instance that has none", () => {
    const medium = play(
      "https://example.org/hotwheels.git",
      (text) => text.replace("TYPE=t4g.small", "TYPE=c7g.medium"),
    );
    const launches = medium.calls.filter((call) => call.includes("run-instances"));
    assertEquals(launches.length, 3);
    for (const launch of launches) assertNotMatch(launch, /credit/);
  });

  it("sends a repository that the instances can't clone", () => {
    const sent = play("git@example.org:hotwheels.git").calls;
    for (
      const [host, role] of [
        ["203.0.113.1", "server"],
        ["203.0.113.2", "bots"],
        ["203.0.113.3", "bots"],
      ]
    ) {
      const install =
        `ec2-user@${host}: sudo sh /opt/hotwheels/deploy/ec2/install.sh ${role} ${COMMIT}`;
      assert(sent.includes(install), role);
    }
    assertEquals(sent.filter((call) => call.startsWith("git archive")).length, 3);
    assertEquals(find("install.sh").length, 0);
  });
});
