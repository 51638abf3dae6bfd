import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, describe, it } from "node:test";
import type { Browser, Page } from "playwright-core";
import { RUNTIME_NAMES } from "../../cli/program.ts";
import { bundle, cannotBundle } from "../support/bundle.ts";
import type { Bed } from "../support/client/bed.ts";
import { CHROMIUM } from "../support/client/chromium.ts";
import { casesOf } from "../support/client/client_suite.ts";
import { MachineBed } from "../support/client/machine_bed.ts";
import { leftTo } from "../support/processes/tested_runtimes.ts";

// Deno's playwright wants every permission.
const skip = CHROMIUM === undefined ? "there is no Chromium here" : leftTo("bun") || cannotBundle;

/** Nothing but modules of the page's own, and connections. */
const POLICY =
  "default-src 'none'; script-src 'self'; connect-src ws://127.0.0.1:*; worker-src 'self'";

const PAGE =
  '<!doctype html><link rel="icon" href="data:,"><script type="module" src="/suite.js"></script>';

/** Chromium with the suite in a page. */
class Chromium {
  readonly #bed: Bed;
  #server: Server | undefined;
  #browser: Browser | undefined;
  page: Page | undefined;

  constructor(bed: Bed) {
    this.#bed = bed;
  }

  async open(): Promise<void> {
    const suite = bundle("test/client/suite/page_main.ts", { platform: "browser" });
    this.#server = createServer((request, response) => {
      const isScript = request.url === "/suite.js";
      response.setHeader("Content-Security-Policy", POLICY);
      response.setHeader("Content-Type", isScript ? "text/javascript" : "text/html");
      response.end(isScript ? suite : PAGE);
    });
    await new Promise<void>((resolve) => this.#server!.listen(0, "127.0.0.1", resolve));
    const { chromium } = await import("playwright-core");
    this.#browser = await chromium.launch({ executablePath: CHROMIUM!, args: ["--no-sandbox"] });
    this.page = await this.#browser.newPage();
    await this.page.exposeFunction("callBed", (method: keyof Bed, args: unknown[]) => {
      return (this.#bed[method] as (...args: unknown[]) => Promise<unknown>).apply(this.#bed, args);
    });
    await this.page.goto(this.url);
    await this.page.waitForFunction("globalThis.runCase !== undefined");
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server!.address() as AddressInfo).port}/`;
  }

  async run(name: string): Promise<void> {
    const failure = await this.page!.evaluate((name) => globalThis.runCase(name), name);
    if (failure !== undefined) throw new Error(failure);
  }

  async close(): Promise<void> {
    await this.#browser?.close();
    await new Promise((resolve) => this.#server?.close(resolve) ?? resolve(undefined));
  }
}

for (const runtime of RUNTIME_NAMES) {
  describe(`the client in Chromium, with servers on ${runtime}`, { skip }, () => {
    const bed = new MachineBed(runtime);
    const chromium = new Chromium(bed);
    before(() => chromium.open(), { timeout: 30_000 });
    after(async () => {
      await chromium.close();
      await bed.dispose();
    }, { timeout: 30_000 });
    for (const { name } of casesOf("ws")) {
      it(name, { timeout: 60_000 }, () => chromium.run(name));
    }
  });
}
