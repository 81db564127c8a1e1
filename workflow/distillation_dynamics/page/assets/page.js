// The page's charts, choices and tables. Data stands in #page-data; nothing is asked for from elsewhere.
"use strict";
(() => {
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
  // A specification with the colours of the page put in.
  const filled = (part, known) => {
    if (typeof part === "string") return known[part] ?? part;
    if (Array.isArray(part)) return part.map((one) => filled(one, known));
    if (part === null || typeof part !== "object") return part;
    return Object.fromEntries(Object.entries(part).map(([key, value]) => [key, filled(value, known)]));
  };
  const config = () => ({
    background: "transparent",
    font: "system-ui, sans-serif",
    view: { stroke: style("--line") },
    text: { color: style("--ink") },
    axis: {
      labelColor: style("--ink"), titleColor: style("--ink"), gridColor: style("--line"), domainColor: style("--soft"),
      tickColor: style("--soft"), labelFontSize: 11, titleFontSize: 12, titleFontWeight: "normal", gridOpacity: 0.6,
    },
    axisXQuantitative: { tickCount: { signal: "ceil(width / 80)" } },
    legend: { labelColor: style("--ink"), titleColor: style("--ink") },
    // On hovering, what the table behind a chart says of a mark.
    ...Object.fromEntries(["point", "tick", "bar", "rect", "text"].map((mark) => [mark, { tooltip: { content: "data" } }])),
  });
  const tip = (chart) => (row, sanitize) => `<table>${Object.entries(chart.columns).map(([name, title]) =>
    `<tr><td class="key">${sanitize(title)}</td><td class="value">${sanitize(cell(row[name]))}</td></tr>`).join("")}</table>`;

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
  const said = (name) => String(name).replaceAll("_", " ");

  // --- what a chart shows ---

  const optionOf = (control, state) => control.options[state[control.name]];

  const shown = (panel, chart) => {
    const controls = chart.controls.map((name) => panel.controls.find((one) => one.name === name)).filter(Boolean);
    const found = [];
    for (const row of rowsOf(chart.table)) {
      if (chart.follow === "hide" && !chosen.has(row.owner)) continue;
      if (Object.entries(chart.where).some(([key, values]) => !values.includes(row[key]))) continue;
      let out = { ...row, faded: chart.follow === "fade" && !chosen.has(row.owner) };
      for (const control of controls) {
        const state = panel.state[control.name];
        if (control.kind === "scale") continue;
        if (control.kind === "toggle") {
          if (control.hides && !state && row[control.field] === control.hides) out = null;
          if (!state) for (const name of control.clears) if (out) out[name] = null;
        } else {
          const option = optionOf(control, panel.state);
          if (control.kind === "measure") {
            out.value = row[option.value] ?? null;
            const half = row[`${option.value}_half`] ?? null;
            const known = out.value !== null && half !== null;
            out.low = known ? out.value - half : null;
            out.high = known ? out.value + half : null;
            for (const [field, column] of Object.entries(option.fields ?? {})) out[field] = row[column] ?? null;
          } else if (row[control.field] !== null && String(row[control.field]) !== String(option?.value)) out = null;
        }
        if (!out) break;
      }
      // What a switch that is off empties stays empty, in whatever order controls stand.
      if (out) for (const control of controls) {
        if (control.kind === "toggle" && !panel.state[control.name]) for (const name of control.clears) out[name] = null;
      }
      if (out && chart.needs.every((name) => out[name] !== null && out[name] !== undefined)) found.push(out);
    }
    return found;
  };

  const draw = async (panel, drawn) => {
    const rows = shown(panel, drawn.chart), scale = isLog(panel) ? "log" : "linear";
    if (scale === "log" && drawn.isSwitched) aboveZero(rows);
    drawn.rows = rows;
    drawn.nothing.hidden = rows.length > 0;
    drawn.drawing.hidden = rows.length === 0;
    if (drawn.view && drawn.isDark === dark.matches && (!drawn.isSwitched || drawn.scale === scale)) {
      for (const [name, control] of Object.entries(drawn.chart.signals)) drawn.view.signal(name, numberOf(panel, control));
      await drawn.view.data("rows", rows).resize().runAsync();
    } else {
      drawn.view?.finalize();
      const spec = { ...filled(drawn.chart.spec, { ...looks(), "scales.y": scale }), description: drawn.chart.description, config: config() };
      spec.autosize = { type: "fit-x", contains: "padding" };
      spec.datasets = { rows };
      for (const param of spec.params ?? []) {
        if (param.name in drawn.chart.signals) param.value = numberOf(panel, drawn.chart.signals[param.name]);
      }
      const actions = { export: true, source: false, compiled: false, editor: false };
      drawn.drawing.hidden = false;
      const downloadFileName = drawn.chart.title.replace(/\W+/g, "_"), tooltip = { formatTooltip: tip(drawn.chart) };
      const options = { renderer: "svg", logLevel: vega.Error, actions, downloadFileName, tooltip };
      drawn.view = (await vegaEmbed(drawn.drawing, spec, options)).view;
      drawn.drawing.hidden = rows.length === 0;
      drawn.isDark = dark.matches;
      drawn.scale = scale;
    }
    key(drawn);
    if (drawn.behind.open) fill(drawn);
  };
  // Whether the axis of values is logarithmic: as the switch says, or until it is used as the measure has it.
  const isLog = (panel) => {
    const at = panel.controls.find((one) => one.kind === "scale"), measure = panel.controls.find((one) => one.kind === "measure");
    const scale = measure && optionOf(measure, panel.state).scale;
    return Boolean(at) && scale !== "only linear" && (panel.state[at.name] ?? scale === "log");
  };
  // Where a band or a null reaches 0, it ends at the smallest value that is drawn.
  const BANDS = ["low", "high", "null", "null_low", "null_high", "gaussian"];
  const aboveZero = (rows) => {
    const least = Math.min(...rows.map((row) => row.value).filter((value) => value > 0));
    for (const row of rows) for (const name of BANDS) if (row[name] !== null && row[name] <= 0) row[name] = least;
  };
  const numberOf = (panel, name) => {
    const control = panel.controls.find((one) => one.name === name);
    return Number(optionOf(control, panel.state)?.value ?? 0);
  };

  // Whose line is whose, below a chart: those that are in it.
  const key = (drawn) => {
    const there = drawn.chart.follow === "hide" ? [...new Set(drawn.rows.map((row) => row.network))] : [];
    drawn.key.replaceChildren(...there.map((name) => make("li", {}, swatch(name), said(name))));
  };

  // --- the table behind a chart ---

  const cell = (value) => {
    if (value === null || value === undefined) return "-";
    return typeof value === "number" && !Number.isInteger(value) ? String(Number(value.toPrecision(4))) : String(value);
  };
  const fill = (drawn) => {
    const heads = Object.entries(drawn.chart.columns);
    const head = make("tr", {}, ...heads.map(([, title]) => make("th", { scope: "col" }, title)));
    const body = drawn.rows.map((row) => make("tr", {}, ...heads.map(([name], at) =>
      at === 0 ? make("th", { scope: "row" }, cell(row[name])) : make("td", {}, cell(row[name])))));
    const caption = make("caption", {}, `${drawn.chart.title}: ${drawn.rows.length} row${drawn.rows.length === 1 ? "" : "s"}, as chosen`);
    const table = make("table", { class: "data" }, caption, make("thead", {}, head), make("tbody", {}, ...body));
    const scroll = make("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": drawn.chart.title }, table);
    drawn.behind.replaceChildren(drawn.behind.firstChild, scroll);
    enhance(table);
  };

  // --- every table: sorted by its heads, searched where it is long ---

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
  const enhance = (table) => {
    [...table.tHead.rows[0].cells].forEach((head, at) => {
      const button = make("button", { type: "button" });
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => sort(table, at, head));
    });
    if (table.tBodies[0].rows.length < LONG) return;
    const search = make("input", { type: "search", "aria-label": `Search in the table ${table.caption?.textContent ?? ""}`, placeholder: "Search" });
    search.addEventListener("input", () => {
      const wanted = search.value.toLowerCase();
      for (const row of table.tBodies[0].rows) row.hidden = !row.textContent.toLowerCase().includes(wanted);
    });
    table.parentElement.before(make("p", { class: "search" }, search));
  };

  // --- controls ---

  const build = (panel, place) => {
    const fields = panel.controls.map((control) => field(panel, control));
    const about = make("p", { class: "measured", "aria-live": "polite" });
    const boxes = panel.charts.map((chart) => {
      const drawing = make("div", { class: "drawing" });
      const nothing = make("p", { class: "nothing" }, "Nothing is chosen that has a value of this.");
      nothing.hidden = true;
      const behind = make("details", {}, make("summary", {}, "The data as a table"));
      const isSwitched = JSON.stringify(chart.spec).includes('"scales.y"');
      const drawn = { chart, isSwitched, drawing, nothing, behind, key: make("ul", { class: "key", "aria-label": "Lines" }), rows: [] };
      behind.addEventListener("toggle", () => behind.open && fill(drawn));
      panel.drawn.push(drawn);
      const caption = make("figcaption", {}, chart.description);
      return make("figure", { class: "chart" }, make("h3", {}, chart.title), drawing, nothing, drawn.key, caption, behind);
    });
    panel.about = about;
    place.append(
      ...(fields.length ? [make("div", { class: "controls", role: "group", "aria-label": `Controls of ${panel.id}` }, ...fields)] : []),
      ...(panel.controls.some((one) => one.kind === "measure") ? [about] : []),
      make("div", { class: `charts ${boxes.length > 1 ? "two" : ""}` }, ...boxes));
  };
  const field = (panel, control) => {
    const change = (value) => {
      panel.state[control.name] = value;
      // Another measure begins with its own axis.
      if (control.kind === "measure") for (const one of panel.controls) if (one.kind === "scale") panel.state[one.name] = null;
      update(panel);
    };
    if (control.kind === "scale") {
      panel.state[control.name] = null;
      control.box = make("input", { type: "checkbox", name: control.name });
      control.box.addEventListener("change", () => change(control.box.checked));
      return make("label", {}, control.box, control.label);
    }
    if (control.kind === "toggle") {
      panel.state[control.name] = Boolean(control.start);
      const box = make("input", { type: "checkbox", name: control.name });
      box.checked = Boolean(control.start);
      box.addEventListener("change", () => change(box.checked));
      return make("label", {}, box, control.label);
    }
    panel.state[control.name] = control.start ?? 0;
    if (control.kind === "slider") {
      const output = make("output", {}, control.options[panel.state[control.name]].label);
      const range = make("input", { type: "range", name: control.name, min: 0, max: control.options.length - 1, step: 1 });
      range.value = panel.state[control.name];
      const speak = () => {
        output.textContent = control.options[range.value].label;
        range.setAttribute("aria-valuetext", `${control.label} ${output.textContent}`);
      };
      speak();
      range.addEventListener("input", () => { speak(); change(Number(range.value)); });
      return make("label", {}, `${control.label} `, range, output);
    }
    const select = make("select", { name: control.name },
      ...control.options.map((option, at) => make("option", { value: at }, option.label)));
    select.addEventListener("change", () => change(Number(select.value)));
    control.select = select;
    return make("label", {}, `${control.label} `, select);
  };
  // Of a choice among networks only those that are chosen on the page.
  const narrow = (panel) => {
    for (const control of panel.controls) {
      if (!control.select || !control.options.some((option) => option.owner)) continue;
      const open = control.options.map((option) => chosen.has(option.owner));
      control.options.forEach((_, at) => {
        control.select.options[at].hidden = control.select.options[at].disabled = !open[at];
      });
      if (!open[panel.state[control.name]] && open.includes(true)) panel.state[control.name] = open.indexOf(true);
      control.select.value = panel.state[control.name];
    }
  };
  // Panels are drawn one after the other; of requests that wait for the same one, once.
  let queue = Promise.resolve(), waiting = 0;
  const update = (panel) => {
    if (panel.due) return;
    panel.due = true;
    waiting += 1;
    document.body.dataset.ready = "no";
    queue = queue.then(() => { panel.due = false; return redraw(panel); }).catch((fault) => console.error(fault)).then(() => {
      waiting -= 1;
      if (waiting === 0) document.body.dataset.ready = "yes";
    });
  };
  const redraw = async (panel) => {
    const measure = panel.controls.find((one) => one.kind === "measure");
    if (measure) {
      const option = optionOf(measure, panel.state);
      const unit = option.unit ? ` [${option.unit}]` : "";
      for (const control of panel.controls) {
        if (control.kind !== "scale") continue;
        control.box.checked = isLog(panel);
        control.box.disabled = option.scale === "only linear";
      }
      panel.about.textContent = `${option.label}${unit}: ${option.about}${option.n ? ` (${option.n})` : ""}.`;
    }
    narrow(panel);
    for (const drawn of panel.drawn) await draw(panel, drawn);
  };

  // --- the choice of networks, which all panels follow ---

  const boxes = [...document.querySelectorAll('input[name="owner"]')];
  const choose = () => {
    for (const box of boxes) box.checked ? chosen.add(box.value) : chosen.delete(box.value);
    document.getElementById("chosen").textContent = `${boxes.filter((box) => box.checked).length} of ${boxes.length}`;
    for (const row of document.querySelectorAll("tr[data-owner]")) row.hidden = !chosen.has(row.dataset.owner);
    panels.forEach(update);
  };
  for (const box of boxes) {
    box.checked = chosen.has(box.value);
    box.nextElementSibling.replaceWith(swatch(box.value));
    box.addEventListener("change", choose);
  }
  for (const button of document.querySelectorAll("button[data-choose]")) {
    button.addEventListener("click", () => {
      const how = button.dataset.choose;
      for (const box of boxes) box.checked = how === "all" || (how === "start" && page.start.includes(box.value));
      choose();
    });
  }
  dark.addEventListener("change", () => {
    for (const box of boxes) box.parentElement.querySelector(".swatch").replaceWith(swatch(box.value));
    choose();
  });

  document.body.classList.add("with-script");
  for (const folded of document.querySelectorAll("details.folded")) folded.open = false;
  if (matchMedia("(max-width: 1099px)").matches) document.querySelector(".chooser").open = false;
  for (const table of document.querySelectorAll("table.data")) enhance(table);
  for (const { id, charts, controls } of page.panels) {
    const panel = { id, charts, controls, state: {}, drawn: [] };
    panels.push(panel);
    build(panel, document.querySelector(`[data-panel="${id}"]`));
  }
  choose();
})();
