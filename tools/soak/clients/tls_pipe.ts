import type { Socket } from "node:net";
import { Duplex } from "node:stream";
import { connect, type ConnectionOptions, type TLSSocket } from "node:tls";
import type { TlsTrust } from "../../../runtime/types.ts";

/**
 * TLS over a socket, from its connect on. The socket stays its owner's, who can still abort it: one that
 * is handed to `node:tls` itself can't be.
 *
 * @param mayRead Whether the socket may be read from: TLS reads on while it's paused itself.
 */
export function tlsOver(
  socket: Socket,
  { ca, serverName }: TlsTrust,
  mayRead: () => boolean,
): TLSSocket {
  const pipe = new Duplex({
    allowHalfOpen: true,
    read() {
      if (mayRead()) socket.resume();
    },
    write: (chunk: Uint8Array, _encoding, done) => void socket.write(chunk, (error) => done(error)),
    final: (done) => void socket.end(() => done()),
    // Deno's TLS may drop the pipe without having ended it.
    destroy: (error, done) => {
      socket.end();
      socket.resume();
      done(error);
    },
  });
  // What breaks is the socket, which tells its owner.
  pipe.on("error", () => {});
  socket.on("data", (chunk: Uint8Array) => {
    if (!pipe.destroyed && !pipe.push(chunk)) socket.pause();
  });
  socket.on("end", () => pipe.push(null));
  socket.on("close", () => pipe.destroy());
  const trust = ca === undefined ? {} : { ca };
  const options = { socket: pipe, servername: serverName, allowHalfOpen: true, ...trust };
  return connect(options as ConnectionOptions);
}
