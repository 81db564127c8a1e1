// Tables: those behind charts, and all of them sorted by their heads and searched where they are long.
const fileName = (title) => title.replace(/\W+/g, "_").replace(/^_+|_+$/g, "");

const fill = (panel, drawn) => {
  const { chart, rows } = drawn;
  // A column without any value says nothing.
  const heads = headsOf(panel, chart).filter(([name], at) => at === 0 || rows.some((row) => !isMissing(row[name])));
  const head = make("tr", {}, ...heads.map(([, title]) => make("th", { scope: "col" }, title)));
  const body = rows.map((row) => make("tr", {}, ...heads.map(([name], at) =>
    at === 0 ? make("th", { scope: "row" }, cell(row[name])) : make("td", {}, cell(row[name])))));
  const caption = make("caption", {}, `${chart.title}: ${rows.length} row${rows.length === 1 ? "" : "s"}, as chosen`);
  const table = make("table", { class: "data" }, caption, make("thead", {}, head), make("tbody", {}, ...body));
  const scroll = make("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": chart.title }, table);
  drawn.behind.replaceChildren(drawn.behind.firstChild, scroll);
  enhance(table);
};

const LONG = 8;
const numeric = (text) => {
  const found = /^[+-]?[\d,]*\.?\d+(e[+-]?\d+)?/i.exec(text.trim());
  return found ? Number(found[0].replaceAll(",", "")) : NaN;
};
const sort = (table, at, head) => {
  const down = head.getAttribute("aria-sort") === "ascending";
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", down ? "descending" : "ascending");
  const text = (row) => row.cells[at]?.textContent ?? "";
  const compared = (one, two) => {
    const [a, b] = [numeric(text(one)), numeric(text(two))];
    if (Number.isNaN(a) || Number.isNaN(b)) {
      // What is no number stands last, whichever way.
      if (Number.isNaN(a) !== Number.isNaN(b)) return (Number.isNaN(a) ? 1 : -1) * (down ? -1 : 1);
      return text(one).localeCompare(text(two), "en");
    }
    return a - b;
  };
  const body = table.tBodies[0];
  body.append(...[...body.rows].sort((one, two) => (down ? -1 : 1) * compared(one, two)));
};
// All rows of a table as comma-separated values, those that a search hides too; the items of a list in one cell.
const csv = (table) => {
  const text = (cell) => {
    const items = [...cell.querySelectorAll("li")].map((item) => item.textContent.trim());
    return (items.length ? items.join("; ") : cell.textContent).replace(/\s+/g, " ").trim();
  };
  const quoted = (value) => (/[",\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value);
  return [...table.rows].map((row) => `${[...row.cells].map((cell) => quoted(text(cell))).join(",")}\n`).join("");
};
const save = (name, content) => {
  const address = URL.createObjectURL(new Blob([content], { type: "text/csv" }));
  make("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10000);
};
const enhance = (table) => {
  [...table.tHead.rows[0].cells].forEach((head, at) => {
    const button = make("button", { type: "button" });
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => sort(table, at, head));
  });
  const title = table.caption.textContent, tools = make("p", { class: "tools" });
  const button = make("button", { type: "button", "aria-label": `Save as CSV: ${title}` }, "CSV");
  button.addEventListener("click", () => save(`${fileName(title)}.csv`, csv(table)));
  tools.append(button);
  table.parentElement.before(tools);
  // Of a table that shows two rows of many, a search would show others.
  if (table.tBodies[0].rows.length < LONG || table.querySelector("[data-beside]")) return;
  const search = make("input", { type: "search", "aria-label": `Search in the table ${title}`, placeholder: "Search" });
  search.addEventListener("input", () => {
    const wanted = search.value.toLowerCase();
    for (const row of table.tBodies[0].rows) row.hidden = !row.textContent.toLowerCase().includes(wanted);
  });
  tools.prepend(search);
};
