import { getTextFormatter, type LogRecord, type TextFormatter } from "@logtape/logtape";

/** The forms that the log may have: words for people, or a JSON object a line for programs. */
export const LOG_FORMATS = ["text", "json"] as const;
export type LogFormat = typeof LOG_FORMATS[number];

/**
 * The property under which a record has words that stand in its message only: they say in words what its
 * other properties say as values.
 */
export const TEXT = "text";

/** The formatter of a format. It writes a line, with its line break. */
export function formatterOf(format: LogFormat): TextFormatter {
  if (format === "json") return jsonLine;
  return getTextFormatter({
    timestamp: "rfc3339",
    level: "full",
    category: ".",
    // Deno and Bun would quote strings differently.
    value: (value) => typeof value === "string" ? value : JSON.stringify(value),
  });
}

/**
 * A record as JSON: `time`, `level` and `message`, which every line has, the `worker` that logs it, and the
 * record's properties by their names. Topics and other words of clients are escaped to ASCII, so that they
 * do nothing in a terminal.
 */
function jsonLine({ timestamp, level, category, message, properties }: LogRecord): string {
  const { [TEXT]: _, ...fields } = properties;
  const worker = category[1];
  const line = {
    time: new Date(timestamp).toISOString(),
    level,
    message: message.map((part) => typeof part === "string" ? part : JSON.stringify(part)).join(""),
    ...(worker === undefined ? {} : { worker }),
    ...fields,
  };
  return JSON.stringify(line).replaceAll(/[\x7f-\uffff]/g, escape) + "\n";
}

function escape(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
}
