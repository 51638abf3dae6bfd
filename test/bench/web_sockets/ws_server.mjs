// A server of the protocol in a few lines on `ws`, for Node: subscribe and PUBLISH, for one topic. It is
// what the port for WebSockets is measured against; it checks nothing.

import { WebSocketServer } from "ws";

const subscribers = new Set();

function stamp() {
  const micros = Math.floor((performance.timeOrigin + performance.now()) * 1000);
  return `[${Math.floor(micros / 1e12)},${Math.floor(micros / 1e6) % 1e6},${micros % 1e6}]`;
}

const server = new WebSocketServer({ host: "127.0.0.1", port: 0, perMessageDeflate: false });
server.on("listening", () => console.log(server.address().port));
server.on("connection", (socket) => {
  socket.send(`{"timestamp":${stamp()},"token":"${"0".repeat(32)}"}\x01`);
  socket.on("close", () => subscribers.delete(socket));
  socket.on("message", (data) => {
    const frames = data.toString().split("\0");
    for (const [i, frame] of frames.entries()) {
      if (frame.startsWith('{"action":"subscribe"')) {
        subscribers.add(socket);
        socket.send("ACK\x01");
      } else if (frame === "PUBLISH") {
        // Encoded once; each subscriber's frame is its own.
        const message = Buffer.from(`{"timestamp":${stamp()},${frames[i + 1].slice(1)}\x01`);
        for (const subscriber of subscribers) subscriber.send(message, { binary: false });
      }
    }
  });
});
