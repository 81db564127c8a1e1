"""The page in headless Chromium: no error, no request, its controls work, by keyboard too, and it fits its window."""

import csv
import re

import pytest

from browser import CHROMIUM, Browser
from distillation_dynamics.stages import page as stage
from made_up_page import WHO, write

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is here (Debian: apt-get install chromium)"),
]
# What the lines of script that operate a page have at hand.
HELP = """
const rest = (time) => new Promise((done) => setTimeout(done, time));
const one = (query, from = document) => from.querySelector(query);
const all = (query, from = document) => [...from.querySelectorAll(query)];
const section = (id) => document.getElementById(id);
const change = async (element, value) => {
  if (element.type === "checkbox") element.click();
  else { element.value = value; for (const kind of ["input", "change"]) element.dispatchEvent(new Event(kind)); }
  await drawn();
};
const drawn = async () => { while (document.body.dataset.ready !== "yes") await rest(20); };
const choose = (select, label) => change(select, [...select.options].find((one) => one.textContent === label).value);
const unfold = async (folded) => { folded.open = true; while (!one("tbody", folded)) await rest(20); };
await drawn();
"""


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The page of a made-up study."""
    folder = tmp_path_factory.mktemp("page")
    stage.main(write(folder, WHO))
    return folder / "out/index.html"


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    browser = Browser(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


def browse(browser, page, script, at="", **window):
    """Return what `script` saw of a page that did nothing it must not."""
    browser.open(page, at=at, **window)
    seen = browser.run(HELP + script)
    assert browser.faults == [] and browser.asked == []
    return seen


def test_every_chart_is_drawn_and_nothing_is_asked_for(browser, page):
    seen = browse(browser, page, """
        return {
            drawn: all(".drawing").map((place) => all("svg path, svg rect, svg line", place).length),
            panels: all("[data-panel]").map((place) => place.dataset.panel), chosen: one("#chosen").textContent,
            open: all("details.folded[open]").length, empty: all(".nothing:not([hidden])").length,
        };""")  # fmt: skip
    assert len(seen["drawn"]) == 25 and min(seen["drawn"]) > 5
    assert len(seen["panels"]) == 16 and seen["chosen"] == "6 of 9"
    assert seen["open"] == 0 and seen["empty"] == 0


def test_a_request_would_be_refused_and_seen(browser, page):
    browser.open(page)
    browser.run('await fetch("https://example.org/").catch(() => 0);')
    assert any("connect-src" in str(fault) for fault in browser.faults)


def test_all_panels_follow_the_choice_of_networks(browser, page):
    seen = browse(browser, page, """
        const keys = () => all(".key li", section("shape")).map((item) => item.textContent);
        const pairs = () => all("option:not([hidden])", one('select[name="pair"]', section("cka"))).length;
        const rows = () => all("tr[data-owner]:not([hidden])", section("paper")).length;
        const start = { keys: keys(), pairs: pairs(), rows: rows() };
        one('button[data-choose="none"]').click();
        await drawn();
        const high = (place) => place.getBoundingClientRect().height > 0;
        const seen = (id) => all(".drawing", section(id)).filter(high).length;
        const none = { keys: keys(), rows: rows(), said: !one(".nothing", section("shape")).hidden };
        none.drawn = ["shape", "dynamics", "spectra", "map", "cka"].map(seen);
        await change(one('input[value="spectral_last"]'));
        return { start, none, one: { keys: keys(), pairs: pairs(), rows: rows() } };""")  # fmt: skip
    assert seen["start"]["keys"] == [
        *("cait", "cait untrained", "soft", "none", "spectral first", "projector last", "hard"),
    ]
    assert seen["none"] == {"keys": [], "rows": 0, "said": True, "drawn": [0] * 5}, "no axes without lines"
    assert seen["one"]["keys"] == ["spectral last"] and seen["one"]["pairs"] == 1 and seen["one"]["rows"] == 1
    assert seen["start"]["rows"] == 7


def test_sliders_measures_and_switches_change_what_is_shown(browser, page):
    seen = browse(browser, page, """
        const dynamics = section("dynamics"), shape = section("shape");
        await unfold(one(".chart > details", dynamics));
        const rows = (where) => all("tbody tr", one(".chart > details", where)).map((row) => row.textContent);
        const last = rows(dynamics), about = one(".measured", dynamics).textContent;
        await change(one('input[name="epoch"]', dynamics), 0);
        const first = rows(dynamics), spoken = one('input[name="epoch"]', dynamics).getAttribute("aria-valuetext");
        await choose(one("select", dynamics), "RMS of activations [points]");
        const other = rows(dynamics), said = one(".measured", dynamics).textContent;
        await unfold(one(".chart > details", shape));
        await choose(one("select", shape), "Spectral intensity [points]");
        const names = () => new Set(all("tbody th", shape).map((head) => head.textContent)).size;
        const own = () => all("tbody tr", one(".chart > details", shape));
        const at = () => all("thead th", one(".chart > details", shape))
            .findIndex((head) => head.textContent === "with permuted channels");
        const nulls = () => at() < 0 ? 0 : own().filter((row) => row.cells[at()].textContent !== "-").length;
        const before = [names(), nulls()];
        await change(one('input[name="controls"]', shape));
        await change(one('input[name="nulls"]', shape));
        return { last, first, other, about, said, spoken, before, after: [names(), nulls()] };""")  # fmt: skip
    assert len(seen["last"]) == len(seen["first"]) == len(seen["other"]) > 20
    assert seen["last"] != seen["first"] != seen["other"] and seen["spoken"] == "Epoch 0"
    about = "Entropy, change since the first block [bits]: Change of the entropy since the first block"
    assert seen["about"].startswith(about) and seen["about"].endswith("(n = 320 images, 2 seeds of each variant).")
    assert seen["said"].startswith("RMS of activations [points]: What rms is (n = ")
    assert seen["about"] != seen["said"]
    (names, nulls), (fewer, none) = seen["before"], seen["after"]
    assert fewer == names - 1 and none == 0 < nulls


def test_values_that_span_a_factor_of_ten_have_a_logarithmic_axis_that_a_key_switches(browser, page):
    seen = browse(browser, page, """
        const shape = section("shape"), box = one('input[name="scale"]', shape), select = one("select", shape);
        const measures = [...select.options].map((option) => option.textContent);
        const ticks = () => all(".drawing svg g.role-axis-label text", shape).map((text) => text.textContent);
        const scale = () => JSON.parse(document.getElementById("page-data").textContent)
            .panels.find((panel) => panel.id === "shape").controls.find((one) => one.kind === "measure")
            .options.map((option) => option.scale);
        const out = { scales: scale(), measures, boxes: [] };
        for (const wanted of ["log", "linear", "only linear"]) {
          const at = out.scales.indexOf(wanted);
          if (at < 0) continue;
          await change(select, at);
          out.boxes.push([wanted, box.checked, box.disabled]);
        }
        await change(select, out.scales.indexOf("log"));
        const before = ticks();
        box.focus();
        out.focused = document.activeElement === box;
        await change(box);
        out.off = [box.checked, String(ticks()) !== String(before)];
        await change(box);
        out.on = [box.checked, String(ticks()) === String(before)];
        await change(box);
        await change(select, out.scales.indexOf("linear"));
        await change(select, out.scales.indexOf("log"));
        out.again = box.checked;
        return out;""")  # fmt: skip
    assert {tuple(one) for one in seen["boxes"]} <= {
        ("log", True, False), ("linear", False, False), ("only linear", False, True)
    }  # fmt: skip
    assert {"log", "linear"} <= {wanted for wanted, _, _ in seen["boxes"]}
    assert seen["focused"] and seen["off"] == [False, True] and seen["on"] == [True, True] and seen["again"]


def test_a_mark_says_on_hovering_what_its_row_of_the_table_says(browser, page):
    seen = browse(browser, page, """
        const point = one('.mark-symbol path', section("dynamics")), box = point.getBoundingClientRect();
        point.dispatchEvent(new MouseEvent("pointermove", { bubbles: true, clientX: box.x + 2, clientY: box.y + 2 }));
        await rest(100);
        const tip = section("vg-tooltip-element"), behind = one(".chart > details", section("dynamics"));
        await unfold(behind);
        const text = (cell) => cell.textContent, first = one("tbody tr", behind);
        const said = all("tr", tip).map((row) => [...row.cells].map(text));
        const heads = all("thead th", behind).map(text), cells = [...first.cells].map(text);
        const known = heads.map((head, at) => [head, cells[at]]).filter(([, cell]) => cell !== "-");
        const shown = getComputedStyle(one("td.key", tip)).display;
        return { said, row: known, shown };
        """)  # fmt: skip
    assert seen["said"] == seen["row"] and ["network", "cait"] in seen["said"] and ["epoch", "2"] in seen["said"]
    assert seen["shown"] == "table-cell"
    assert ["Entropy, change since the first block [bits]", "0"] in seen["said"], "what is shown has its name and unit"


def test_tips_of_all_charts_are_small_and_name_units_and_nothing_that_is_missing(browser, page):
    seen = browse(browser, page, """
        const found = [];
        for (const drawing of all(".drawing")) {
            const mark = one(".mark-symbol path, .mark-rect path[aria-roledescription]", drawing);
            mark.scrollIntoView({ block: "center" });
            const box = mark.getBoundingClientRect();
            const at = { bubbles: true, clientX: box.x + box.width / 2, clientY: box.y + box.height / 2 };
            mark.dispatchEvent(new MouseEvent("pointermove", at));
            await rest(30);
            const tip = section("vg-tooltip-element"), size = tip.getBoundingClientRect();
            found.push([drawing.parentElement.querySelector("h3").textContent, tip.innerText, size.width, size.height]);
            mark.dispatchEvent(new MouseEvent("pointerout", at));
        }
        return found;""")  # fmt: skip
    assert len(seen) == 25
    for title, text, width, height in seen:
        assert len(text.splitlines()) > 1 and not re.search(r"\b(null|NaN|undefined)\b|`", text), (title, text)
        assert 0 < width < 480 and 0 < height < 400, title


def test_charts_are_titled_by_what_they_show_and_the_map_has_one_unit(browser, page):
    seen = browse(browser, page, """
        const titles = (id) => all(".drawing svg g.role-axis-title text", section(id)).map((text) => text.textContent);
        const before = titles("shape");
        await choose(one("select", section("shape")), "RMS of activations [points]");
        const pixels = (axis) => {
            const marks = all(".drawing svg g.role-axis", section("map"));
            const own = marks.find((one) => one.getAttribute("aria-label")?.startsWith(`${axis}-axis`));
            const labels = all("g.role-axis-label text", own).map((text) => {
                const box = text.getBoundingClientRect();
                const place = axis === "X" ? box.x + box.width / 2 : -(box.y + box.height / 2);
                return [Number(text.textContent.replace("\u2212", "-")), place];
            }).filter(([, place]) => place !== 0);
            const [first, last] = [labels[0], labels.at(-1)];
            return (last[1] - first[1]) / (last[0] - first[0]);
        };
        return { before, after: titles("shape"), units: [pixels("X"), pixels("Y")] };""")  # fmt: skip
    assert "Entropy, change since the first block [bits]" in seen["before"]
    assert "RMS of activations [points]" in seen["after"]
    assert seen["units"][0] == pytest.approx(seen["units"][1], rel=0.05)


def test_tables_are_sorted_and_searched_by_keyboard_too(browser, page):
    seen = browse(browser, page, """
        const table = one("table.data", section("claims")), where = section("accuracy");
        const heads = all("th button", table);
        const verdicts = () => all("tbody td:nth-child(2)", table).map((cell) => cell.textContent);
        heads[1].focus();
        heads[1].click();
        const up = [verdicts(), heads[1].parentElement.getAttribute("aria-sort")];
        heads[1].click();
        const down = [verdicts(), heads[1].parentElement.getAttribute("aria-sort")];
        const behind = one(".chart > details", where);
        await unfold(behind);
        const search = one("input[type=search]", behind);
        const shown = () => all("tbody tr:not([hidden])", behind).length, every = shown();
        await change(search, "spectral_last");
        const focus = all("a[href], button, input, select, summary, [tabindex]").every((part) => part.tabIndex >= 0);
        return { up, down, every, found: shown(), focus, label: search.getAttribute("aria-label") };""")  # fmt: skip
    ordered = ["contradicted", "not seen here", "not testable here", "supported, as scale"]
    assert seen["up"] == [ordered, "ascending"] and seen["down"] == [ordered[::-1], "descending"]
    assert seen["every"] == 9 + 2 + 7 * 2 and seen["found"] == 3 and seen["focus"]
    assert seen["label"].startswith("Search in the table Test top-1: ")


def test_every_table_can_be_saved_as_csv(browser, page):
    seen = browse(browser, page, """
        let kept = [];
        const make = URL.createObjectURL;
        URL.createObjectURL = (blob) => { kept.push(blob.text()); return make(blob); };
        const behind = one(".chart > details", section("accuracy"));
        await unfold(behind);
        await change(one("input[type=search]", behind), "no such row");
        all("button", behind).find((button) => button.textContent === "CSV").click();
        all("#claims .tools button")[0].click();
        const tables = all("table.data").length, buttons = all(".tools button").length;
        return { texts: await Promise.all(kept), tables, buttons };""")  # fmt: skip
    accuracy, claims = (list(csv.reader(text.splitlines())) for text in seen["texts"])
    assert accuracy[0] == ["network", "what", "seed", "test top-1 [%]", "interval from", "interval to"]
    assert len(accuracy) == 1 + 9 + 2 + 7 * 2 and {len(row) for row in accuracy} == {6}
    assert ["<b>contradicted</b> & more (c)", "contradicted"] in [row[:2] for row in claims]
    assert seen["tables"] == seen["buttons"] > 10


def test_the_address_holds_what_is_chosen_and_shows_it_again(browser, page):
    address = browse(browser, page, """
        await change(one('input[value="vit"]'));
        await choose(one("select", section("shape")), "RMS of activations [points]");
        await change(one('input[name="controls"]', section("shape")));
        await change(one('input[name="epoch"]', section("dynamics")), 0);
        await choose(one('select[name="other"]', section("beside")), "spectral first");
        await rest(400);
        location.hash = "#beside";
        await rest(400);
        return location.hash;""")  # fmt: skip
    assert address.startswith("#beside?show=cait,vit,") and "&shape.measure=rms&shape.controls=off" in address
    assert "&dynamics.epoch=0" in address and address.endswith("&beside.other=spectral_first")
    seen = browse(browser, page, """
        await rest(100);
        return {
            hash: location.hash, vit: one('input[value="vit"]').checked,
            top: section("beside").getBoundingClientRect().top,
            measure: one("select", section("shape")).selectedOptions[0].textContent,
            controls: one('input[name="controls"]', section("shape")).checked,
            epoch: one('input[name="epoch"]', section("dynamics")).getAttribute("aria-valuetext"),
            shown: all("tr[data-beside]:not([hidden])").map((row) => row.dataset.beside),
            keys: all(".key", section("beside")).map((key) => key.textContent),
        };""", at=address)  # fmt: skip
    assert seen["hash"] == address and seen["vit"] and abs(seen["top"]) < 60
    assert (seen["measure"], seen["controls"], seen["epoch"]) == ("RMS of activations [points]", False, "Epoch 0")
    assert seen["shown"] == ["soft", "spectral_first"]
    assert seen["keys"][:2] == ["softspectral first"] * 2
    start = browse(browser, page, "await rest(400); return location.hash;", at="#shape?show=nobody&shape.measure=none")
    assert start == "#shape?show=nobody&shape.measure=none", "what is not known changes nothing"


@pytest.mark.parametrize("width", [360, 1600])
@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_the_page_fits_its_window_light_and_dark(browser, page, width, scheme):
    seen = browse(browser, page, """
        for (const part of all("details")) part.open = true;
        for (const part of all(".chart > details")) await unfold(part);
        const root = document.documentElement, style = getComputedStyle(document.body);
        const wide = all("main *").filter((part) => part.getBoundingClientRect().right > root.clientWidth + 1)
            .filter((part) => !part.closest(".scroll, pre, svg")).map((part) => `${part.tagName} ${part.className}`);
        return { page: [root.scrollWidth, root.clientWidth], wide, ground: style.backgroundColor, ink: style.color };
        """, width=width, scheme=scheme)  # fmt: skip
    assert seen["page"] == [width, width] and seen["wide"] == []
    light = [sum(map(int, re.findall(r"\d+", seen[name])[:3])) / 3 for name in ("ground", "ink")]
    assert (light[0] > 230 and light[1] < 60) if scheme == "light" else (light[0] < 60 and light[1] > 200)


def test_it_works_by_keyboard(browser, page):
    browse(browser, page, "one('select', section('dynamics')).focus();")
    browser.press("Tab")
    assert browser.run("return document.activeElement.name;") == "epoch"
    before = browser.run("return document.activeElement.getAttribute('aria-valuetext');")
    browser.press("ArrowLeft")
    after = browser.run(HELP + "return document.activeElement.getAttribute('aria-valuetext');")
    assert before != after
    browser.run("document.querySelector('input[name=owner]').focus();")
    chosen = "return [document.activeElement.checked, document.getElementById('chosen').textContent];"
    one = browser.run(chosen)
    browser.press(" ")
    other = browser.run(HELP + chosen)
    assert one[0] is not other[0] and one[1] != other[1]
    assert browser.faults == [] and browser.asked == []


def test_without_script_pictures_stand_for_charts(browser, page):
    browser.open(page, width=360, script=False)
    # What is asked from outside of the page is answered all the same.
    seen = browser.call("DOMSnapshot.captureSnapshot", computedStyles=["display"])
    words = " ".join(seen["strings"])
    assert "About Does a variant help?" in words and browser.faults == [] and browser.asked == []
    size = browser.call("Page.getLayoutMetrics")["cssContentSize"]
    assert size["width"] == 360
