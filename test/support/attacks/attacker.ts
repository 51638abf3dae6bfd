// Attacks a server from a process of its own, so that whoever measures is not in its way:
// attacker.ts host port mode clients. It goes on until its input ends.

import { connect, type Socket } from "node:net";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { utf8Bytes } from "../../../protocol/framing/frames.ts";

const [host = "", port = "", mode = "", count = ""] = process.argv.slice(2);

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

/** One that is forgotten ends by itself. */
const MAX_MS = 120_000;

let isOver = false;
const over = Promise.race([
  new Promise((resolve) => process.stdin.on("end", resolve).resume()),
  sleep(MAX_MS),
]).then(() => isOver = true);

if (mode in FLOODS) await flood(utf8Bytes(FLOODS[mode] as string));
else if (mode === "unfinished frames, again and again") await churn(utf8Bytes(UNFINISHED));
else if (mode === "a message, then an unfinished one") await hoard();
else throw new TypeError(`there is no attack called ${mode}`);
process.exit(0);

function open(onOpen: (socket: Socket) => void, onClose: () => void = () => {}): void {
  const socket = connect({ host, port: Number(port) }, () => onOpen(socket));
  socket.on("error", () => {});
  socket.on("close", onClose);
  socket.resume();
}

/** All send without a pause, and leave with what isn't sent yet. */
async function flood(bytes: Uint8Array): Promise<void> {
  const sockets: Socket[] = [];
  for (let i = 0; i < Number(count); i++) {
    open((socket) => {
      sockets.push(socket);
      const more = () => {
        while (!isOver && socket.write(bytes));
      };
      socket.on("drain", more);
      more();
    });
  }
  await over;
  for (const socket of sockets) socket.resetAndDestroy();
}

async function churn(bytes: Uint8Array): Promise<void> {
  const again = () => {
    if (isOver) return;
    open((socket) => socket.write(bytes), () => setTimeout(again, 10));
  };
  for (let i = 0; i < Number(count); i++) again();
  await over;
}

/** All complete a message, and then begin one that they let drip. */
async function hoard(): Promise<void> {
  const sockets: Socket[] = [];
  for (let i = 0; i < Number(count); i++) {
    open((socket) => {
      sockets.push(socket);
      socket.write(utf8Bytes('PUBLISH\0{"topic":"nobody","data":1}\0'));
    });
  }
  while (!isOver && sockets.length < Number(count)) await sleep(50);
  const begun = utf8Bytes(`PUBLISH\0{"topic":"nobody","data":"${LARGE}`);
  for (const socket of sockets) socket.write(begun);
  const byte = utf8Bytes("x");
  while (!isOver) {
    await Promise.race([over, sleep(300)]);
    for (const socket of sockets) if (socket.writable) socket.write(byte);
  }
}
