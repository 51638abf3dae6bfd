/**
 * Wraps text for people at the terminal's width.
 *
 * @module
 */

/** The columns of a common terminal. */
const WIDTH = 80;

/** Blanks at which a line may break: not between a number and its unit, and not between backticks. */
const BREAKS = / (?!(?:ms|s|%)(?:\W|$))(?=(?:[^`]*`[^`]*`)*[^`]*$)/;

/**
 * Breaks a sentence at its blanks, so that no line is wider than 80 columns; a longer word keeps a line of
 * its own.
 *
 * @param indent The beginning of every line.
 * @param laterIndent The beginning of every line but the first.
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
