/**
 * The lines that code under test logs, without a process that writes them.
 *
 * @module
 */

import { configure, getLogger, type Logger, type LogRecord, reset } from "@logtape/logtape";

let cases = 0;

/**
 * The records that are logged meanwhile.
 *
 * @param act Is given a logger, and the records so far: the array grows.
 * @param category The logger's. One of its own unless given, since others' timers may log meanwhile.
 */
export async function recordsOf(
  act: (logger: Logger, soFar: readonly LogRecord[]) => Promise<void> | void,
  category: readonly string[] = ["hotwheels", `case-${++cases}`],
): Promise<LogRecord[]> {
  const records: LogRecord[] = [];
  await configure({
    sinks: { kept: (record) => records.push(record) },
    loggers: [
      { category: [...category], lowestLevel: "debug", sinks: ["kept"] },
      { category: ["logtape", "meta"], lowestLevel: "warning", sinks: ["kept"] },
    ],
  });
  try {
    await act(getLogger(category), records);
  } finally {
    await reset();
  }
  return records;
}

/** Lines without their timestamps, as they are written. */
export function linesOf(records: readonly LogRecord[]): string[] {
  return records.map(({ level, message }) => `${level}: ${message.join("")}`);
}
