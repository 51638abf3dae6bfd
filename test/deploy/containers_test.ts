import { assert, assertEquals, assertMatch } from "@std/assert";
import { parse } from "@std/yaml/parse";
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import process from "node:process";
import { describe, it } from "node:test";
import manifest from "../../package.json" with { type: "json" };
import { parseCommand as parseBots } from "../../bots/run/options.ts";
import { PROJECT_ROOT } from "../../cli/program.ts";
import { skipNats } from "../support/processes/nats_server.ts";
import { ServerCommand } from "../support/processes/server_command.ts";
import { TESTED_RUNTIMES } from "../support/processes/tested_runtimes.ts";
import { FOLDER, hasPromtool, optionsOf, read } from "./deploy_files.ts";

const timeout = 60_000;

for (const runtime of ["bun", "deno"] as const) {
  describe(`the Containerfile for ${runtime}`, () => {
    const text = read(`containers/Containerfile.${runtime}`);
    const steps = text.replaceAll(/^#.*\n/gm, "").replaceAll(/\\\n\s*/g, "").trim().split("\n")
      .filter((line) => line !== "").map((line) => /^(\w+) (.*)$/.exec(line)!.slice(1));
    const last = (name: string) => steps.findLast(([step]) => step === name)?.[1] ?? "";

    it("builds on images of one version, the runtime's being the pinned one", () => {
      const bases = steps.filter(([step]) => step === "FROM").map(([, image]) => image!);
      for (const base of bases) {
        assertMatch(base, /^docker\.io\/\S+:\S*\d+\.\d+\.\d+\S*(?: AS \w+)?$/);
      }
      assert(bases.at(-1)!.includes(manifest.devDependencies[runtime]), bases.at(-1));
    });

    it("runs as nobody in particular, can be asked to end, and says whether it lives", () => {
      assertMatch(last("USER"), /^[1-9]\d+:[1-9]\d+$/);
      assertEquals(last("STOPSIGNAL"), "SIGTERM");
      assertMatch(last("HEALTHCHECK"), /127\.0\.0\.1:9100\/livez/);
      const health = JSON.parse(/CMD (\[.*\])$/.exec(last("HEALTHCHECK"))![1]!) as string[];
      assertEquals(health[0], runtime);
      for (const name of ["ENTRYPOINT", "CMD"]) assert(Array.isArray(JSON.parse(last(name))));
    });

    it("does no more than it must: no shell forms, no ADD, no packages of its own", () => {
      const names = new Set(steps.map(([step]) => step));
      assertEquals(
        [...names].filter((name) => ["ADD", "VOLUME", "SHELL", "MAINTAINER"].includes(name!)),
        [],
      );
      const runs = steps.filter(([step]) => step === "RUN");
      assertEquals(runs.length, 1);
      assertMatch(runs[0]![1]!, /^npm ci /);
      // What would be copied from a checkout, and has no place in an image, is ignored.
      for (const file of [".containerignore", ".dockerignore"]) {
        const ignored = readFileSync(join(PROJECT_ROOT, file), "utf8").split("\n");
        for (const name of [".git", "node_modules", "test"]) assert(ignored.includes(name), name);
      }
    });

    it("sets no variable that the server doesn't know", () => {
      const variables = Object.fromEntries(
        [...last("ENV").matchAll(/(\w+)=(\S+)/g)].map(([, name, value]) => [name!, value!]),
      );
      assertEquals(variables["HOTWHEELS_RUNTIME"], runtime);
      assertEquals(optionsOf(variables).admin?.port, 9100);
    });
  });
}

interface Service {
  readonly command: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly volumes?: readonly string[];
  readonly image: string;
  readonly read_only?: boolean;
}

describe("compose.yaml", () => {
  const { services } = parse(read("containers/compose.yaml")) as {
    readonly services: Readonly<Record<string, Service>>;
  };

  it("starts a server and two runs of bots by flags that they know", () => {
    assertEquals(Object.keys(services).sort(), [
      "bots-1",
      "bots-2",
      "grafana",
      "prometheus",
      "server",
    ]);
    const { command, environment, read_only } = services["server"]!;
    assertEquals([command, read_only], [["serve"], true]);
    assertEquals(optionsOf(environment!).workers, 2);
    for (const name of ["bots-1", "bots-2"]) {
      const [first, ...args] = services[name]!.command;
      assertEquals(first, "bots");
      const bots = parseBots(args);
      assert("options" in bots && "host" in bots.options);
      assertEquals([bots.options.host, bots.options.port], ["server", 8081]);
    }
  });

  it("mounts files that are here, on images of one version", () => {
    for (const { volumes = [], image } of Object.values(services)) {
      assertMatch(image, /:(?:v?\d+\.\d+\.\d+|bun)$/);
      for (const volume of volumes) {
        const [from = ""] = volume.split(":");
        assert(existsSync(join(FOLDER, "containers", from)), from);
      }
    }
  });

  it("lets Prometheus read its configuration", { skip: hasPromtool }, () => {
    const args = ["check", "config", "--syntax-only", join(FOLDER, "prometheus", "prometheus.yml")];
    const { status, stdout, stderr } = spawnSync("promtool", args, { encoding: "utf8" });
    assertEquals(status, 0, stdout + stderr);
  });
});

describe("the files for a cluster", () => {
  const compose = parse(read("containers/cluster.yaml")) as {
    readonly services: Readonly<Record<string, Service>>;
    readonly configs: { readonly nats: { readonly content: string } };
  };
  const documents = read("kubernetes/cluster.yaml").split(/^---$/m)
    // deno-lint-ignore no-explicit-any
    .map((text) => parse(text) as any);
  const pod = documents[0].spec.template.spec;

  it("give servers flags that they know, and the login that they need", () => {
    const variables = Object.fromEntries(
      pod.containers[0].env.map((
        { name, value }: { name: string; value: string },
      ) => [name, value]),
    );
    const { cluster } = optionsOf(variables as Record<string, string>);
    assertEquals(cluster?.servers, ["hotwheels-nats:4222"]);
    const [folder = ""] = /^.*\//.exec(cluster?.credentialsFile ?? "") ?? [];
    const mounts = pod.containers[0].volumeMounts as { name: string; mountPath: string }[];
    const mount = mounts.find(({ mountPath }) => `${mountPath}/` === folder);
    const volumes = pod.volumes as { name: string }[];
    assert(volumes.some(({ name }) => name === mount?.name));
    const { environment } = compose.services["server-1"]!;
    assertEquals(optionsOf(environment!).cluster?.servers, ["nats:4222"]);
    assertEquals(compose.services["server-2"]?.environment, environment);
  });

  it("give NATS the account of docs/cluster.md, which it takes", { skip: skipNats }, () => {
    const [, documented = ""] = /```text\n([^]*?)```/.exec(
      readFileSync(join(PROJECT_ROOT, "docs/cluster.md"), "utf8"),
    ) ?? [];
    const config = documents.find(({ kind }) => kind === "ConfigMap").data["nats.conf"] as string;
    const composed = compose.configs.nats.content.replaceAll("$$", "$");
    assertEquals([config.trim(), composed.trim()], [documented.trim(), documented.trim()]);
    const folder = mkdtempSync(join(tmpdir(), "hotwheels-nats-"));
    try {
      const path = join(folder, "nats.conf");
      writeFileSync(path, config);
      const { status, stderr } = spawnSync("nats-server", ["-c", path, "-t"], {
        encoding: "utf8",
        env: { PATH: process.env["PATH"], HOTWHEELS_NATS_PASSWORD: "s3cret" },
      });
      assertEquals(status, 0, stderr);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});

describe("the unit for systemd", () => {
  it("has a watchdog, and is one that systemd takes", () => {
    const text = read("systemd/hotwheels.service");
    for (const line of ["Type=notify", "NotifyAccess=all", "WatchdogSec=30", "DynamicUser=yes"]) {
      assert(text.split("\n").includes(line), line);
    }
    const tool = "systemd-analyze";
    if (spawnSync(tool, ["--version"]).status !== 0) return;
    const scratch = mkdtempSync(join(tmpdir(), "hotwheels-unit-"));
    try {
      const unit = join(scratch, "hotwheels.service");
      writeFileSync(unit, text.replace(/(?<=^ExecStart=)\S+/m, "/bin/true"));
      const { status, stderr } = spawnSync(tool, ["verify", unit], { encoding: "utf8" });
      assertEquals([status, stderr], [0, ""]);
    } finally {
      rmSync(scratch, { recursive: true });
    }
  });
});

interface Panel {
  readonly title: string;
  readonly targets: readonly { readonly expr: string }[];
  readonly gridPos: {
    readonly x: number;
    readonly y: number;
    readonly w: number;
    readonly h: number;
  };
}

describe("the dashboard for Grafana", () => {
  const { panels } = JSON.parse(read("grafana/dashboard.json")) as {
    readonly panels: readonly Panel[];
  };
  const queries = panels.flatMap(({ targets }) => targets.map(({ expr }) => expr));

  it("has panels beside each other, and not over each other", () => {
    const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) => {
      assert(x + w <= 24);
      return Array.from({ length: w * h }, (_, i) => `${x + i % w} ${y + Math.floor(i / w)}`);
    });
    assertEquals(new Set(cells).size, cells.length);
  });

  it("asks what Prometheus understands", { skip: hasPromtool }, () => {
    const scratch = mkdtempSync(join(tmpdir(), "hotwheels-dashboard-"));
    try {
      const rules = queries.map((expr, at) => ({
        record: `query:${at}`,
        expr: expr.replaceAll("$instance", ".*"),
      }));
      const file = join(scratch, "rules.yml");
      writeFileSync(file, JSON.stringify({ groups: [{ name: "dashboard", rules }] }));
      const { status, stdout, stderr } = spawnSync("promtool", ["check", "rules", file], {
        encoding: "utf8",
      });
      assertEquals(status, 0, stdout + stderr);
    } finally {
      rmSync(scratch, { recursive: true });
    }
  });

  it("asks for metrics and labels that the server has", { timeout }, async () => {
    const server = await ServerCommand.listening(TESTED_RUNTIMES[0]!, ["--admin", "0"]);
    try {
      const url = /admin on (http:\S+)\)/.exec(server.stdout)?.[1];
      const metrics = await (await fetch(`${url}/metrics`)).text();
      const names = new Set([...metrics.matchAll(/^# TYPE (\w+) /gm)].map(([, name]) => name!));
      assert(names.size > 30);
      for (const query of queries) {
        for (const [name] of query.matchAll(/\bhotwheels_\w+/g)) {
          const family = name.replace(/_(?:bucket|count|sum)$/, "");
          assert(names.has(name) || names.has(family), `${name} in ${query}`);
        }
        const [, label] = /\bby \((\w+)\)/.exec(query) ?? [];
        if (label !== undefined) assertMatch(metrics, new RegExp(`[{,]${label}="`));
        const [, bound] = /\ble="([^"]+)"/.exec(query) ?? [];
        if (bound !== undefined) assertMatch(metrics, new RegExp(`_bucket\\{le="${bound}"`));
      }
    } finally {
      server.signal("SIGTERM");
      await server.exited();
    }
  });
});

describe("what is deployed", () => {
  it("stands in folders that their README names", () => {
    const readme = read("README.md");
    const folders = readdirSync(FOLDER, { withFileTypes: true })
      .filter((entry) => entry.isDirectory()).map(({ name }) => name);
    for (const folder of folders) assert(readme.includes(`${folder}/`), folder);
    assertEquals(dirname(FOLDER), PROJECT_ROOT.replace(/\/$/, ""));
  });
});
