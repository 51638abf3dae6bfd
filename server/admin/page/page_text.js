// Numbers, names and tables as text. No name that a client chose does anything here.
// deno-lint-ignore-file no-unused-vars -- live_page.ts puts the page's scripts behind one another

const MOST_ROWS = 100;

const byId = (id) => document.getElementById(id);
const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });

function count(n) {
  return n < 1e6 ? whole.format(n) : short.format(n);
}

function bytes(n) {
  if (n < 1000) return `${Math.round(n)} B`;
  const [unit, size] = [["GB", 1e9], ["MB", 1e6], ["kB", 1e3]].find(([, size]) => n >= size);
  const value = n / size;
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ${unit}`;
}

function time(ms) {
  if (ms < 10) return `${ms.toFixed(1)} ms`;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  const s = ms / 1000;
  if (s < 10) return `${s.toFixed(2)} s`;
  if (s < 120) return `${Math.round(s)} s`;
  const m = s / 60;
  if (m < 120) return `${Math.round(m)} min`;
  const h = m / 60;
  return h < 48 ? `${Math.round(h)} h` : `${Math.round(h / 24)} days`;
}

/** A client's text, in which nothing is invisible, moves the cursor or turns the line around. */
function inert(text) {
  return text.replace(
    /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Co}\p{Cs}]/gu,
    (character) => `\\u{${character.codePointAt(0).toString(16)}}`,
  );
}

function address(host, port) {
  if (host === "") return "local";
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

function set(id, text) {
  const element = byId(id);
  if (element.textContent !== text) element.textContent = text;
}

/** Fills a table: each row is cells of [text, class]. */
function rows(id, list, cellsOf, nothing) {
  const body = byId(id);
  const made = list.slice(0, MOST_ROWS).map((item) => {
    const row = document.createElement("tr");
    for (const [text, kind] of cellsOf(item)) {
      const cell = document.createElement("td");
      cell.textContent = text;
      if (kind !== undefined) cell.className = kind;
      if (kind?.startsWith("text")) cell.title = text;
      row.append(cell);
    }
    return row;
  });
  if (made.length === 0) {
    const row = document.createElement("tr");
    const cell = document.createElement("td");
    cell.className = "empty";
    cell.colSpan = 9;
    cell.textContent = nothing;
    row.append(cell);
    made.push(row);
  }
  body.replaceChildren(...made);
}
