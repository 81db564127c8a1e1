// Panels with their controls, and the choice of networks that all of them follow.
const build = (panel, place) => {
  const fields = panel.controls.map((control) => field(panel, control));
  const about = make("p", { class: "measured", "aria-live": "polite" });
  const boxes = panel.charts.map((chart) => {
    const drawing = make("div", { class: "drawing" });
    const nothing = make("p", { class: "nothing" }, "None of the chosen networks and variants has a value here.");
    nothing.hidden = true;
    const behind = make("details", {}, make("summary", {}, "The data as a table"));
    const written = JSON.stringify(chart.spec);
    const isSwitched = written.includes('"scales.y"'), isLog = written.includes('"type":"log"');
    const drawn = { chart, isSwitched, isLog, drawing, nothing, behind, key: make("ul", { class: "key", "aria-label": "Lines" }), rows: [] };
    behind.addEventListener("toggle", () => behind.open && fill(panel, drawn));
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
    control.isMoved = false;
    // Another measure begins with its own axis.
    if (control.kind === "measure") for (const one of panel.controls) if (one.kind === "scale") panel.state[one.name] = null;
    update(panel);
    remember();
  };
  control.first = control.kind === "scale" ? null : control.kind === "toggle" ? Boolean(control.start) : control.start ?? 0;
  panel.state[control.name] = control.first;
  if (control.kind === "scale") {
    // Its box is set as the chart is drawn.
    control.sync = () => {};
    control.box = make("input", { type: "checkbox", name: control.name });
    control.box.addEventListener("change", () => change(control.box.checked));
    return make("label", {}, control.box, control.label);
  }
  if (control.kind === "toggle") {
    const box = make("input", { type: "checkbox", name: control.name });
    control.sync = () => { box.checked = panel.state[control.name]; };
    control.sync();
    box.addEventListener("change", () => change(box.checked));
    return make("label", {}, box, control.label);
  }
  if (control.kind === "slider") {
    const output = make("output", {});
    const range = make("input", { type: "range", name: control.name, min: 0, max: control.options.length - 1, step: 1 });
    const speak = () => {
      output.textContent = control.options[range.value].label;
      range.setAttribute("aria-valuetext", `${control.label} ${output.textContent}`);
    };
    control.sync = () => { range.value = panel.state[control.name]; speak(); };
    control.sync();
    range.addEventListener("input", () => { speak(); change(Number(range.value)); });
    return make("label", {}, `${control.label} `, range, output);
  }
  const select = make("select", { name: control.name }, ...grouped(control.options));
  select.addEventListener("change", () => change(Number(select.value)));
  control.select = select;
  control.sync = () => { select.value = panel.state[control.name]; };
  control.sync();
  return make("label", {}, `${control.label} `, select);
};
// Options of a choice, in groups where there are several.
const grouped = (options) => {
  const made = options.map((option, at) => make("option", { value: at }, option.unit ? withUnit(option) : option.label));
  const groups = [...new Set(options.map((option) => option.group))];
  if (groups.length < 2) return made;
  return groups.map((group) => make("optgroup", { label: group }, ...made.filter((_, at) => options[at].group === group)));
};
// Of a choice among networks only those that are chosen on the page.
const narrow = (panel) => {
  for (const control of panel.controls) {
    if (!control.select || !control.options.some((option) => option.owner)) continue;
    const open = control.options.map((option) => chosen.has(option.owner));
    control.options.forEach((_, at) => {
      const option = control.select.options[at];
      option.hidden = option.disabled = !open[at];
    });
    control.isClosed = !open.includes(true);
    if (!open[panel.state[control.name]] && !control.isClosed) {
      panel.state[control.name] = open.indexOf(true);
      // Nobody chose it: the address need not say it.
      control.isMoved = true;
    }
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
    for (const control of panel.controls) {
      if (control.kind !== "scale") continue;
      control.box.checked = isLog(panel);
      control.box.disabled = option.scale === "only linear";
    }
    panel.about.textContent = `${withUnit(option)}: ${option.about}${option.n ? ` (${option.n})` : ""}.`;
  }
  narrow(panel);
  const two = panel.controls.filter((one) => one.kind === "who").map((one) => optionOf(one, panel.state).value);
  for (const row of document.querySelectorAll(`#${panel.id} tr[data-beside]`)) row.hidden = !two.includes(row.dataset.beside);
  for (const drawn of panel.drawn) await draw(panel, drawn);
};

const boxes = [...document.querySelectorAll('input[name="owner"]')];
const choose = () => {
  for (const box of boxes) box.checked ? chosen.add(box.value) : chosen.delete(box.value);
  document.getElementById("chosen").textContent = `${boxes.filter((box) => box.checked).length} of ${boxes.length}`;
  for (const row of document.querySelectorAll("tr[data-owner]")) row.hidden = !chosen.has(row.dataset.owner);
  panels.forEach(update);
};
