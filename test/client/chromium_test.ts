import { assertEquals } from "@std/assert";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, describe, it } from "node:test";
import type { Browser, Page } from "playwright-core";
import { RUNTIME_NAMES } from "../../cli/program.ts";
import { bundle, cannotBundle } from "../support/bundle.ts";
import type { Bed } from "../support/client/bed.ts";
import { urlOf } from "./suite/case.ts";
import { casesOf } from "../support/client/client_suite.ts";
import { MachineBed } from "../support/client/machine_bed.ts";
import { sharedChromium, skipChromium } from "../support/processes/chromium.ts";

const skip = skipChromium || cannotBundle;

/** Nothing but modules of the page's own, and connections. */
const POLICY =
  "default-src 'none'; script-src 'self'; connect-src ws://127.0.0.1:*; worker-src 'self'";

const PAGE =
  '<!doctype html><link rel="icon" href="data:,"><script type="module" src="/suite.js"></script>';

/** A page of Chromium's with the suite. */
class SuitePage {
  readonly #bed: Bed;
  #server: Server | undefined;
  page: Page | undefined;

  constructor(bed: Bed) {
    this.#bed = bed;
  }

  async open(browser: Browser): Promise<void> {
    const suite = bundle("test/client/suite/page_main.ts", { platform: "browser" });
    const worker = bundle("test/client/suite/worker_main.ts", { platform: "browser" });
    this.#server = createServer((request, response) => {
      const script = request.url === "/suite.js"
        ? suite
        : request.url === "/worker.js"
        ? worker
        : undefined;
      response.setHeader("Content-Security-Policy", POLICY);
      response.setHeader("Content-Type", script === undefined ? "text/html" : "text/javascript");
      response.end(script ?? PAGE);
    });
    await new Promise<void>((resolve) => this.#server!.listen(0, "127.0.0.1", resolve));
    this.page = await browser.newPage();
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
    const failure = await this.page!.evaluate(`runCase(${JSON.stringify(name)})`);
    if (failure !== undefined) throw new Error(String(failure));
  }

  /** Asks a service worker to go to a server and back. */
  async askWorker(url: string): Promise<unknown> {
    return await this.page!.evaluate(`(async () => {
      await navigator.serviceWorker.register("/worker.js", { type: "module" });
      const { active } = await navigator.serviceWorker.ready;
      const { port1, port2 } = new MessageChannel();
      const answer = new Promise((resolve) => port1.onmessage = ({ data }) => resolve(data));
      active.postMessage(${JSON.stringify(url)}, [port2]);
      return await answer;
    })()`);
  }

  async close(): Promise<void> {
    await this.page?.context().close();
    await new Promise((resolve) => this.#server?.close(resolve) ?? resolve(undefined));
  }
}

describe("the client in Chromium", { skip }, () => {
  const browser = sharedChromium();

  for (const runtime of RUNTIME_NAMES) {
    describe(`with servers on ${runtime}`, () => {
      const bed = new MachineBed(runtime);
      const page = new SuitePage(bed);
      before(() => page.open(browser()), { timeout: 30_000 });
      after(async () => {
        await page.close();
        await bed.dispose();
      }, { timeout: 30_000 });
      for (const { name, isScripted } of casesOf("ws")) {
        const skip = isScripted === true && runtime !== RUNTIME_NAMES[0] &&
          "it's the same without servers of ours";
        it(name, { timeout: 60_000, skip }, () => page.run(name));
      }

      it("works in a service worker", { timeout: 60_000 }, async () => {
        const { ws } = await bed.plain();
        assertEquals(await page.askWorker(urlOf("ws", ws)), "hello");
      });
    });
  }
});
