// The address holds what is chosen, as `#section?show=...&panel.control=...`, so that a view can be sent with the file.
const SETTLED = 250;
const part = (name) => encodeURIComponent(name).replaceAll("%2C", ",");
const sectionOf = () => location.hash.slice(1).split("?")[0];

const valueOf = (panel, control) => {
  const state = panel.state[control.name];
  if (control.kind === "toggle" || control.kind === "scale") return state ? "on" : "off";
  return String(control.options[state]?.value);
};
const stateFrom = (control, value) => {
  if (value === null) return control.first;
  if (control.kind === "toggle" || control.kind === "scale") return value === "on";
  const at = control.options.findIndex((option) => String(option.value) === value);
  return at < 0 ? control.first : at;
};

const written = () => {
  const said = [], names = boxes.filter((box) => box.checked).map((box) => box.value);
  const isStart = names.length === page.start.length && names.every((name) => page.start.includes(name));
  if (!isStart) said.push(`show=${names.map(part).join(",")}`);
  for (const panel of panels) for (const control of panel.controls) {
    if (panel.state[control.name] === control.first || control.isMoved) continue;
    said.push(`${part(panel.id)}.${part(control.name)}=${part(valueOf(panel, control))}`);
  }
  return `#${sectionOf()}${said.length ? `?${said.join("&")}` : ""}`;
};
let later = 0;
// Once nothing has changed for a moment: browsers limit how often an address may change.
const remember = () => {
  clearTimeout(later);
  later = setTimeout(() => { if (location.hash !== written()) history.replaceState(null, "", written()); }, SETTLED);
};
const recall = () => {
  const given = new URLSearchParams(location.hash.split("?")[1] ?? "");
  const names = given.has("show") ? given.get("show").split(",") : page.start;
  for (const box of boxes) box.checked = names.includes(box.value);
  for (const panel of panels) for (const control of panel.controls) {
    panel.state[control.name] = stateFrom(control, given.get(`${panel.id}.${control.name}`));
    control.isMoved = false;
    control.sync();
  }
  choose();
  queue.then(() => document.getElementById(sectionOf())?.scrollIntoView());
};
addEventListener("hashchange", () => (location.hash.includes("?") ? recall() : remember()));
