// Attacks a server from a process of its own, so that whoever measures is not in its way:
// attacker.ts host port mode clients milliseconds. In the end it prints how many bytes it sent.

import { connect, type Socket } from "node:net";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { utf8Bytes } from "../../../protocol/framing/frames.ts";

const [host = "", port = "", mode = "", count = "", ms = ""] = process.argv.slice(2);

const LARGE = "x".repeat(60_000);
const ESCAPED = Array.from({ length: 2_000 }, (_, i) => `"\\u0061${i}":1`).join(",");

/** The bytes that a client sends again and again. */
const FLOODS: Readonly<Record<string, string>> = {
  "large messages": `PUBLISH\0{"topic":"nobody","data":"${LARGE}"}\0`.repeat(4),
  "tiny messages": 'PUBLISH\0{"topic":"a"}\0'.repeat(10_000),
  "escaped names": `PUBLISH\0{"topic":"nobody",${ESCAPED}}\0`.repeat(4),
};

/** A frame that is never completed. */
const UNFINISHED = `PUBLISH\0{"topic":"nobody","data":${"[".repeat(60_000)}`;

const endsAtMs = performance.now() + Number(ms);
let sentBytes = 0;

if (mode in FLOODS) await flood(utf8Bytes(FLOODS[mode] as string));
else if (mode === "unfinished frames, again and again") await churn(utf8Bytes(UNFINISHED));
else if (mode === "a message, then an unfinished one") await hoard();
else throw new TypeError(`there is no attack called ${mode}`);
console.log(sentBytes);
process.exit(0);

function open(onOpen: (socket: Socket) => void, onClose: () => void = () => {}): void {
  const socket = connect({ host, port: Number(port) }, () => onOpen(socket));
  socket.on("error", () => {});
  socket.on("close", onClose);
  socket.resume();
}

function send(socket: Socket, bytes: Uint8Array): boolean {
  sentBytes += bytes.length;
  return socket.write(bytes);
}

async function flood(bytes: Uint8Array): Promise<void> {
  for (let i = 0; i < Number(count); i++) {
    open((socket) => {
      const more = () => {
        while (performance.now() < endsAtMs && send(socket, bytes));
      };
      socket.on("drain", more);
      more();
    });
  }
  await end();
}

async function churn(bytes: Uint8Array): Promise<void> {
  const again = () => {
    if (performance.now() >= endsAtMs) return;
    open((socket) => send(socket, bytes), () => setTimeout(again, 10));
  };
  for (let i = 0; i < Number(count); i++) again();
  await end();
}

/** All complete a message, and then begin one that they let drip. */
async function hoard(): Promise<void> {
  const sockets: Socket[] = [];
  for (let i = 0; i < Number(count); i++) {
    open((socket) => {
      sockets.push(socket);
      send(socket, utf8Bytes('PUBLISH\0{"topic":"nobody","data":1}\0'));
    });
  }
  while (sockets.length < Number(count)) await sleep(50);
  const begun = utf8Bytes(`PUBLISH\0{"topic":"nobody","data":"${LARGE}`);
  for (const socket of sockets) send(socket, begun);
  const byte = utf8Bytes("x");
  while (performance.now() < endsAtMs) {
    await sleep(300);
    for (const socket of sockets) if (socket.writable) send(socket, byte);
  }
}

async function end(): Promise<void> {
  while (performance.now() < endsAtMs) await sleep(50);
}
