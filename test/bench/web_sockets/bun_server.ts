// A server of the protocol in a few lines on Bun's own WebSockets and topics: subscribe and PUBLISH, for one
// topic. It is what the port for WebSockets is measured against; it checks nothing.

function stamp(): string {
  const micros = Math.floor((performance.timeOrigin + performance.now()) * 1000);
  return `[${Math.floor(micros / 1e12)},${Math.floor(micros / 1e6) % 1e6},${micros % 1e6}]`;
}

const server = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  fetch: (request, server) =>
    server.upgrade(request) ? undefined : new Response("", { status: 426 }),
  websocket: {
    perMessageDeflate: false,
    open: (socket) => void socket.send(`{"timestamp":${stamp()},"token":"${"0".repeat(32)}"}\x01`),
    message(socket, data) {
      const frames = data.toString().split("\0");
      for (const [i, frame] of frames.entries()) {
        if (frame.startsWith('{"action":"subscribe"')) {
          socket.subscribe("events");
          socket.send("ACK\x01");
        } else if (frame === "PUBLISH") {
          server.publish("events", `{"timestamp":${stamp()},${frames[i + 1]!.slice(1)}\x01`);
        }
      }
    },
  },
});
console.log(server.port);
