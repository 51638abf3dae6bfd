import type { Socket } from "node:net";
import { Duplex } from "node:stream";
import { connect, type ConnectionOptions, type TLSSocket } from "node:tls";
import type { TlsTrust } from "../../../runtime/types.ts";

/**
 * Runs TLS over a socket, from its connect on. The caller keeps the socket and can still abort it, which
 * `node:tls` doesn't allow for a socket that it gets itself.
 *
 * @param mayRead Returns true if the socket may be read: TLS reads on even while it is paused itself.
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
  // If something breaks, the socket reports it to its owner.
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
