// A live page: who's here, and a ticker that all share. It survives kill -9 of a worker before your eyes.
//
//   npx hotwheels serve --workers 2 --ws-port 8082
//   node examples/live_page.mjs hotwheels://localhost:8081 ws://localhost:8082 8000
//
// Open http://localhost:8000 in two browsers, then kill -9 one of the server's two worker processes.

import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import process from "node:process";
import { connect } from "hotwheels/client";

const [
  url = "hotwheels://localhost:8081",
  pageUrl = "ws://localhost:8082",
  port = "8000",
] = process.argv.slice(2);

const PAGE = `<!doctype html>
<meta charset="utf-8">
<title>Live</title>
<link rel="icon" href="data:,">
<p><b id="here">?</b> here, tick <b id="tick">?</b>, <span id="state">connecting</span></p>
<form><input name="line" placeholder="say something" autofocus autocomplete="off"></form>
<ul id="ticker"></ul>
<script type="module" src="/page.js"></script>`;

const SCRIPT = `import { connect } from "/hotwheels/client/browser.js";
const show = (id, text) => document.getElementById(id).textContent = text;
const hotwheels = await connect(${JSON.stringify(pageUrl)}, { onStatus });

function onStatus({ state, reason, recovered, missed, isGap }) {
  if (state !== "subscribed") show("state", state);
  else if (recovered) show("state", "back: " + missed + " messages missed, and here they are");
  else show("state", isGap ? "back, and something is lost: " + reason : "live");
}

document.forms[0].onsubmit = async (event) => {
  event.preventDefault();
  const { line } = event.target.elements;
  await hotwheels.publish({ topic: "ticker", data: line.value }, { offline: "wait" });
  line.value = "";
};

async function showTicker() {
  for await (const { message } of hotwheels.subscribe("ticker", { last: 10 })) {
    const item = document.createElement("li");
    item.textContent = message.data;
    document.getElementById("ticker").prepend(item);
  }
}

async function showTicks() {
  for await (const { message } of hotwheels.subscribe("ticks", { last: 1 })) {
    show("here", message.data.here);
    show("tick", message.data.tick);
  }
}

await Promise.all([showTicker(), showTicks()]);`;

// The page's modules: those of the client and of the protocol, and no other files.
const MODULES = new URL("../", import.meta.resolve("hotwheels/client"));
const MODULE_PATH = /^\/hotwheels\/((?:client|protocol)\/[\w/]+\.js)$/;

const policy = `default-src 'none'; script-src 'self'; connect-src ${new URL(pageUrl).origin}`;

const server = createServer(async (request, response) => {
  const path = request.url ?? "/";
  const module = MODULE_PATH.exec(path)?.[1];
  const text = path === "/"
    ? PAGE
    : path === "/page.js"
    ? SCRIPT
    : module && await readFile(new URL(module, MODULES), "utf8").catch(() => undefined);
  if (text === undefined) return response.writeHead(404).end();
  const type = path === "/" ? "text/html" : "text/javascript";
  response.writeHead(200, { "content-type": type, "content-security-policy": policy }).end(text);
});
server.listen(Number(port), () => console.log(`open http://localhost:${server.address().port}`));

// One tick a second. Its receipt says how many have it, which is who's here.
const hotwheels = await connect(url);
for (let tick = 1, here = 0;; tick++) {
  try {
    const receipt = await hotwheels.publish({ topic: "ticks", data: { tick, here } });
    here = receipt.matched;
  } catch (error) {
    console.log(`tick ${tick}: ${error.message}`);
  }
  await new Promise((resolve) => setTimeout(resolve, 1_000));
}
