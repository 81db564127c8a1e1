// What the page holds: tables as rows, colours, words, and elements made of them.
const page = JSON.parse(document.getElementById("page-data").textContent);
const dark = matchMedia("(prefers-color-scheme: dark)");
const chosen = new Set(page.start);
const tables = new Map();
const panels = [];

const make = (name, attributes = {}, ...children) => {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
};

// A table's rows, once they are asked for.
const rowsOf = (name) => {
  if (!tables.has(name)) {
    const { rows, columns } = page.tables[name];
    const read = Object.entries(columns).map(([key, values]) =>
      [key, Array.isArray(values) ? (at) => values[at] : (at) => values.levels[values.codes[at]] ?? null]);
    tables.set(name, Array.from({ length: rows }, (_, at) => Object.fromEntries(read.map(([key, of]) => [key, of(at)]))));
  }
  return tables.get(name);
};

const said = (name) => String(name).replaceAll("_", " ");
const isMissing = (value) => value === null || value === undefined || Number.isNaN(value);
const cell = (value) => {
  if (isMissing(value)) return "-";
  return typeof value === "number" && !Number.isInteger(value) ? String(Number(value.toPrecision(4))) : String(value);
};

const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const looks = () => {
  const { names, dashes, terms } = page.looks;
  return {
    "looks.colors": { domain: names, range: dark.matches ? page.looks.dark : page.looks.light },
    "looks.dashes": { domain: names, range: dashes },
    "looks.terms": { domain: terms.names, range: dark.matches ? terms.dark : terms.light },
    "looks.names": names,
    "looks.ink": style("--ink"),
  };
};
// A specification with what the script knows put in.
const filled = (part, known) => {
  if (typeof part === "string") return known[part] ?? part;
  if (Array.isArray(part)) return part.map((one) => filled(one, known));
  if (part === null || typeof part !== "object") return part;
  return Object.fromEntries(Object.entries(part).map(([key, value]) => [key, filled(value, known)]));
};

const swatch = (name) => {
  const at = page.looks.names.indexOf(name);
  const drawing = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  drawing.setAttribute("class", "swatch");
  drawing.setAttribute("aria-hidden", "true");
  const line = document.createElementNS("http://www.w3.org/2000/svg", "line");
  const color = (dark.matches ? page.looks.dark : page.looks.light)[at] ?? style("--ink");
  const given = { x1: 0, x2: 26, y1: 5, y2: 5, stroke: color, "stroke-width": 3 };
  given["stroke-dasharray"] = (page.looks.dashes[at] ?? [1, 0]).join(" ");
  for (const [key, value] of Object.entries(given)) line.setAttribute(key, value);
  drawing.append(line);
  return drawing;
};
