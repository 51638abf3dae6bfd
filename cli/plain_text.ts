/**
 * Lines for people, no wider than a terminal.
 *
 * @module
 */

/** The columns of a usual terminal. */
const WIDTH = 80;

/** Blanks, but none between a number and its unit, and none in what stands between backticks. */
const BREAKS = / (?!(?:ms|s|%)(?:\W|$))(?=(?:[^`]*`[^`]*`)*[^`]*$)/;

/**
 * Breaks a sentence at its blanks, so that no line is wider than 80 columns; a longer word keeps a line of
 * its own.
 *
 * @param indent What every line begins with.
 * @param laterIndent What every line but the first begins with, where that is something else.
 */
export function wrapped(text: string, indent = "", laterIndent = indent): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(BREAKS)) {
    if (line === "") line = indent + word;
    else if (line.length + 1 + word.length <= WIDTH) line += ` ${word}`;
    else {
      lines.push(line);
      line = laterIndent + word;
    }
  }
  return [...lines, line];
}
