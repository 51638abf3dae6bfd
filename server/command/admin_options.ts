import { quote, UsageError } from "../../cli/command_line.ts";
import { MAX_TOPIC_BYTES } from "../../protocol/topic.ts";
import { type AdminAddress, isLoopback, parseAdminAddress } from "../admin/admin_address.ts";
import { MAX_WATCHED_TOPICS } from "../telemetry/limits.ts";

/** The options of a server's admin port. */
export interface AdminCommandOptions {
  /** The address of the admin port; `undefined` for none. */
  readonly admin: AdminAddress | undefined;
  /** The file with the admin port's keys. */
  readonly adminKeyFile: string | undefined;
  /** Topics that are counted by name. */
  readonly metricsTopics: readonly string[];
}

/** The flags of an admin port, as they are read. */
interface AdminLine {
  text(name: "admin" | "admin-key-file" | "metrics-topics"): string | undefined;
}

/**
 * Reads the flags of the admin port.
 *
 * @throws {UsageError} if anything in them isn't as the help says.
 */
export function adminOptions(line: AdminLine): AdminCommandOptions {
  const text = line.text("admin");
  const adminKeyFile = line.text("admin-key-file");
  const metricsTopics = watchedTopics(line.text("metrics-topics"));
  if (text === undefined) {
    const alone = adminKeyFile !== undefined ? "admin-key-file" : "metrics-topics";
    if (adminKeyFile !== undefined || metricsTopics.length > 0) {
      throw new UsageError(`--${alone} needs --admin too`);
    }
    return { admin: undefined, adminKeyFile, metricsTopics };
  }
  const admin = parseAdminAddress(text);
  if (admin === undefined) {
    throw new UsageError(
      `--admin must be HOST:PORT, PORT, or :0 for any port, not ${quote(text)}`,
    );
  }
  if (!isLoopback(admin.hostname) && adminKeyFile === undefined) {
    throw new UsageError(
      `--admin ${quote(text)} can be reached by other machines: give it keys with ` +
        "--admin-key-file FILE, or use 127.0.0.1",
    );
  }
  return { admin, adminKeyFile, metricsTopics };
}

function watchedTopics(text: string | undefined): string[] {
  const topics = [...new Set(text?.split(",") ?? [])];
  if (topics.length > MAX_WATCHED_TOPICS) {
    throw new UsageError(
      `--metrics-topics names ${topics.length} topics; ${MAX_WATCHED_TOPICS} at most are counted`,
    );
  }
  for (const topic of topics) {
    const bytes = new TextEncoder().encode(topic).length;
    if (bytes >= 1 && bytes <= MAX_TOPIC_BYTES) continue;
    throw new UsageError(
      `--metrics-topics must name topics of 1 to ${MAX_TOPIC_BYTES} bytes, not ${quote(topic)}`,
    );
  }
  return topics;
}
