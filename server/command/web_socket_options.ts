import { quote, UsageError } from "../../cli/command_line.ts";
import { isOriginRule } from "../../runtime/websocket/origins.ts";

/** The port for WebSockets, as the command line has it. */
export interface WebSocketOptions {
  /** 0 lets the system choose. */
  readonly port: number;
  /** The pages that may connect; absent for those of the same host. */
  readonly origins?: readonly string[];
}

/** The flags of the port for WebSockets, as they are read. */
interface WebSocketLine {
  text(name: "ws-origins"): string | undefined;
  number(name: "ws-port", least: number, most: number): number | undefined;
  nameOf(name: "ws-port" | "ws-origins"): string;
}

/**
 * Reads the flags of the port for WebSockets; `undefined` without such a port.
 *
 * @param tcpPort The other port.
 * @throws {UsageError} if anything in them isn't as the help says.
 */
export function webSocketOptions(
  line: WebSocketLine,
  tcpPort: number,
): WebSocketOptions | undefined {
  const port = line.number("ws-port", 0, 65_535);
  const origins = line.text("ws-origins")?.split(",");
  for (const origin of origins ?? []) {
    if (isOriginRule(origin)) continue;
    throw new UsageError(
      `${
        line.nameOf("ws-origins")
      } must list origins such as https://example.com or hosts such as ` +
        `example.com, or *, not ${quote(origin)}`,
    );
  }
  if (port === undefined) {
    if (origins === undefined) return undefined;
    throw new UsageError(`${line.nameOf("ws-origins")} needs --ws-port too`);
  }
  if (port !== 0 && port === tcpPort) {
    throw new UsageError(
      `${line.nameOf("ws-port")} ${port} is the port for TCP already; choose another one`,
    );
  }
  return origins === undefined ? { port } : { port, origins };
}
