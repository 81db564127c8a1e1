// The page as it opens.
for (const box of boxes) {
  box.checked = chosen.has(box.value);
  box.nextElementSibling.replaceWith(swatch(box.value));
  box.addEventListener("change", () => { choose(); remember(); });
}
for (const button of document.querySelectorAll("button[data-choose]")) {
  button.addEventListener("click", () => {
    const how = button.dataset.choose;
    for (const box of boxes) box.checked = how === "all" || (how === "start" && page.start.includes(box.value));
    choose();
    remember();
  });
}
dark.addEventListener("change", () => {
  for (const box of boxes) box.parentElement.querySelector(".swatch").replaceWith(swatch(box.value));
  choose();
});

document.body.classList.add("with-script");
for (const folded of document.querySelectorAll("details.folded")) folded.open = false;
// Where they do not stand beside it, contents and choice leave the first screen to the answers.
if (matchMedia("(max-width: 1099px)").matches) {
  for (const part of document.querySelectorAll(".chooser, .contents")) part.open = false;
}
for (const table of document.querySelectorAll("table.data")) enhance(table);
for (const { id, charts, controls } of page.panels) {
  const panel = { id, charts, controls, state: {}, drawn: [] };
  panels.push(panel);
  build(panel, document.querySelector(`[data-panel="${id}"]`));
}
recall();
