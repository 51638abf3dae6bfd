import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { existsSync } from "node:fs";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { Browser, Page } from "playwright-core";
import { RUNTIME_NAMES, type RuntimeName } from "../../../cli/program.ts";
import { JanusClient, message, publish } from "../../support/clients/janus_client.ts";
import { ServerCommand } from "../../support/processes/server_command.ts";
import { leftTo } from "../../support/processes/tested_runtimes.ts";

const CHROMIUM = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"]
  .find((path) => existsSync(path));

/** Topics whose names would do something in a page that takes them for more than text. */
const HOSTILE = [
  "<img src=x onerror=\"document.title='hacked'\">",
  "<script>document.title='hacked'</script>",
  "javascript:document.title='hacked'",
  "\u202egnp.exe",
  "${document.title='hacked'}",
  "'\"><svg/onload=document.title='hacked'>",
];

interface Shown {
  readonly page: Page;
  /** What the page complained about, and the addresses that it asked for. */
  readonly complaints: string[];
  readonly asked: string[];
}

async function open(
  browser: Browser,
  url: string,
  colorScheme: "light" | "dark",
  width: number,
): Promise<Shown> {
  const context = await browser.newContext({ colorScheme, viewport: { width, height: 900 } });
  const page = await context.newPage();
  const complaints: string[] = [];
  const asked: string[] = [];
  page.on("console", (line) => complaints.push(line.text()));
  page.on("pageerror", ({ message }) => complaints.push(message));
  page.on("dialog", (dialog) => {
    complaints.push(`a dialog says ${dialog.message()}`);
    void dialog.dismiss();
  });
  page.on("request", (request) => asked.push(request.url()));
  await page.goto(url);
  return { page, complaints, asked };
}

async function text(page: Page, id: string): Promise<string> {
  return await page.textContent(`#${id}`) ?? "";
}

/** Waits until an element has a text. The page's own policy forbids what would wait inside it. */
async function untilText(page: Page, id: string, isWanted: (text: string) => boolean) {
  const deadlineMs = performance.now() + 20_000;
  for (;;) {
    const found = await text(page, id);
    if (isWanted(found)) return;
    if (performance.now() > deadlineMs) throw new Error(`#${id} stays ${found}`);
    await sleep(100);
  }
}

/** Runs a test with a server and a browser. */
async function withBrowser(
  runtime: RuntimeName,
  body: (bed: { server: ServerCommand; adminUrl: string; browser: Browser }) => Promise<void>,
): Promise<void> {
  const { chromium } = await import("playwright-core");
  const server = await ServerCommand.listening(runtime, ["--admin", ":0"]);
  const browser = await chromium.launch({
    executablePath: CHROMIUM!,
    args: ["--no-sandbox"],
  });
  try {
    await body({ server, adminUrl: /, admin on (\S+)\)/.exec(server.stdout)![1]!, browser });
  } finally {
    await browser.close();
    await server.dispose();
  }
}

const skip = CHROMIUM === undefined ? "there is no Chromium here" : leftTo("bun");

for (const runtime of RUNTIME_NAMES) {
  describe(`the page of ${runtime}'s admin port`, { skip }, () => {
    it("shows what goes on, in both themes and in every width, and no name does anything in it", {
      timeout: 120_000,
    }, async () => {
      await withBrowser(runtime, async ({ server, adminUrl, browser }) => {
        const clients = await Promise.all(
          HOSTILE.map((topic) => JanusClient.subscribed(server, topic)),
        );
        for (const [theme, width] of [["light", 1_400], ["dark", 400]] as const) {
          const url = `${adminUrl}/?key=a`;
          const { page, complaints, asked } = await open(browser, url, theme, width);
          await untilText(page, "state", (state) => state === "● ready");
          // A key must not stay in the address line.
          assertEquals(new URL(page.url()).search, "");
          for (const topic of HOSTILE) clients[0]!.send(publish(message(topic)));
          await untilText(page, "last", (last) => last !== "–");
          await untilText(page, "topics", (shown) => {
            return HOSTILE.every((topic) => shown.includes(topic.replace("\u202e", "\\u{202e}")));
          });
          clients.push(await JanusClient.greeted(server));
          await untilText(page, "connections", (shown) => shown === String(clients.length));
          assertEquals(await page.evaluate("document.querySelectorAll('canvas').length"), 5);
          assertEquals(await page.evaluate("document.documentElement.scrollWidth"), width);
          assertEquals(await page.evaluate("document.querySelectorAll('td *').length"), 0);
          assertEquals(await page.title(), "Hotwheels");
          assertEquals(complaints, []);
          for (const address of asked) {
            assert(address.startsWith(`${adminUrl}/`) || address.startsWith("data:"), address);
          }
          await page.context().close();
        }
        for (const client of clients) await client.dispose();
      });
    });
  });
}

describe("the page of an admin port", { skip }, () => {
  it("says that the server gives no answer any more", { timeout: 60_000 }, async () => {
    await withBrowser("bun", async ({ server, adminUrl, browser }) => {
      const { page } = await open(browser, adminUrl, "light", 800);
      await untilText(page, "state", (state) => state === "● ready");
      await server.dispose();
      await untilText(page, "state", (state) => state === "▲ no answer");
      assertStringIncludes(await text(page, "trouble"), "s old");
    });
  });
});
