// What a chart shows, and how it is drawn.
const optionOf = (control, state) => control.options[state[control.name]];
const controlsOf = (panel, chart) => chart.controls.map((name) => panel.controls.find((one) => one.name === name)).filter(Boolean);
const measureOf = (panel, chart) => controlsOf(panel, chart).find((one) => one.kind === "measure");
const withUnit = (option) => option.label + (option.unit ? ` [${option.unit}]` : "");
// The name and unit of what a chart shows as its value.
const titleOf = (panel, chart) => {
  const measure = measureOf(panel, chart);
  return measure ? withUnit(optionOf(measure, panel.state)) : "value";
};
// The columns of a chart with their heads.
const headsOf = (panel, chart) =>
  Object.entries(chart.columns).map(([name, head]) => [name, head === "measure.title" ? titleOf(panel, chart) : head]);

// A row takes a column as its value, with the interval, and what else comes with it.
const take = (row, column, fields) => {
  row.value = row[column] ?? null;
  const half = row[`${column}_half`] ?? null, known = row.value !== null && half !== null;
  row.low = known ? row.value - half : null;
  row.high = known ? row.value + half : null;
  for (const [field, name] of Object.entries(fields)) row[field] = row[name] ?? null;
};
const shown = (panel, chart) => {
  const controls = controlsOf(panel, chart), found = [];
  // A choice among networks of which none is chosen shows nothing.
  if (controls.some((control) => control.isClosed)) return found;
  const who = controls.filter((control) => control.kind === "who");
  const two = who.map((control) => optionOf(control, panel.state).value);
  // Of two that are held beside each other: the row of both, or the rows of each.
  const isTheirs = (row) => ("one" in row ? who.every((control, at) => row[control.name] === two[at]) : two.includes(row.owner));
  for (const row of rowsOf(chart.table)) {
    if (chart.follow === "hide" && !chosen.has(row.owner)) continue;
    if (Object.entries(chart.where).some(([key, values]) => !values.includes(row[key]))) continue;
    if (who.length && !isTheirs(row)) continue;
    let out = { ...row, faded: chart.follow === "fade" && !chosen.has(row.owner) };
    if (chart.fields.value) take(out, chart.fields.value, chart.fields);
    for (const control of controls) {
      const state = panel.state[control.name];
      if (control.kind === "scale" || control.kind === "who") continue;
      if (control.kind === "toggle") {
        if (control.hides && !state && row[control.field] === control.hides) out = null;
        if (!state) for (const name of control.clears) if (out) out[name] = null;
      } else {
        const option = optionOf(control, panel.state);
        if (control.kind === "measure") take(out, option.value, option.fields ?? {});
        else if (row[control.field] !== null && String(row[control.field]) !== String(option?.value)) out = null;
      }
      if (!out) break;
    }
    // What a switch that is off empties stays empty, in whatever order controls stand.
    if (out) for (const control of controls) {
      if (control.kind === "toggle" && !panel.state[control.name]) for (const name of control.clears) out[name] = null;
    }
    if (out && chart.needs.every((name) => !isMissing(out[name]))) found.push(out);
  }
  return found;
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
  legend: { labelColor: style("--ink"), titleColor: style("--ink"), titleFontWeight: "normal" },
  // On hovering, what the table behind a chart says of a mark.
  ...Object.fromEntries(["point", "tick", "bar", "rect", "text"].map((mark) => [mark, { tooltip: { content: "data" } }])),
});
const tip = (panel, chart) => (row, sanitize) => {
  const known = headsOf(panel, chart).filter(([name]) => !isMissing(row[name]) && row[name] !== "");
  return `<table>${known.map(([name, title]) =>
    `<tr><td class="key">${sanitize(title)}</td><td class="value">${sanitize(cell(row[name]))}</td></tr>`).join("")}</table>`;
};

const draw = async (panel, drawn) => {
  const { chart } = drawn, rows = shown(panel, chart), scale = isLog(panel) ? "log" : "linear";
  if (drawn.isLog || (scale === "log" && drawn.isSwitched)) aboveZero(rows);
  drawn.rows = rows;
  drawn.nothing.hidden = rows.length > 0;
  drawn.drawing.hidden = rows.length === 0;
  const known = { ...looks(), "scales.y": scale, "measure.title": titleOf(panel, chart) };
  // Other colours, another axis or another title is another drawing.
  const look = JSON.stringify([dark.matches, drawn.isSwitched && scale, known["measure.title"]]);
  if (drawn.view && drawn.look === look) {
    for (const [name, control] of Object.entries(chart.signals)) drawn.view.signal(name, numberOf(panel, control));
    await drawn.view.data("rows", rows).resize().runAsync();
  } else {
    drawn.view?.finalize();
    const spec = { ...filled(chart.spec, known), description: chart.description, config: config() };
    spec.autosize = { type: "fit-x", contains: "padding" };
    spec.datasets = { rows };
    for (const param of spec.params ?? []) {
      if (param.name in chart.signals) param.value = numberOf(panel, chart.signals[param.name]);
    }
    const actions = { export: true, source: false, compiled: false, editor: false };
    // It takes its width from the page, so that it must stand there.
    drawn.drawing.hidden = false;
    const downloadFileName = fileName(chart.title), tooltip = { formatTooltip: tip(panel, chart) };
    const options = { renderer: "svg", logLevel: vega.Error, actions, downloadFileName, tooltip };
    drawn.view = (await vegaEmbed(drawn.drawing, spec, options)).view;
    drawn.drawing.hidden = rows.length === 0;
    drawn.look = look;
  }
  key(panel, drawn);
  if (drawn.behind.open) fill(panel, drawn);
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
const key = (panel, drawn) => {
  const isKeyed = drawn.chart.follow === "hide" || controlsOf(panel, drawn.chart).some((control) => control.kind === "who");
  const there = isKeyed ? [...new Set(drawn.rows.map((row) => row.network))] : [];
  drawn.key.replaceChildren(...there.map((name) => make("li", {}, swatch(name), said(name))));
};
