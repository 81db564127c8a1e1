"""The page in headless Chromium: no error, no request, its controls work, by keyboard too, and it fits its window."""

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


def browse(browser, page, script, **window):
    """Return what `script` saw of a page that did nothing it must not."""
    browser.open(page, **window)
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
    assert len(seen["drawn"]) == 16 and min(seen["drawn"]) > 5
    assert len(seen["panels"]) == 14 and seen["chosen"] == "6 of 9"
    assert seen["open"] == 0 and seen["empty"] == 0


def test_a_request_would_be_refused_and_seen(browser, page):
    browser.open(page)
    browser.run('await fetch("https://example.org/").catch(() => 0);')
    assert any("connect-src" in str(fault) for fault in browser.faults)


def test_all_panels_follow_the_choice_of_networks(browser, page):
    seen = browse(browser, page, """
        const keys = () => all(".key li", section("shape")).map((item) => item.textContent);
        const pairs = () => all("option:not([hidden])", one('select[name="pair"]', section("cka"))).length;
        const rows = () => all("tr[data-owner]:not([hidden])", section("saliency")).length;
        const start = { keys: keys(), pairs: pairs(), rows: rows() };
        one('button[data-choose="none"]').click();
        await drawn();
        const none = { keys: keys(), rows: rows(), said: !one(".nothing", section("shape")).hidden };
        await change(one('input[value="spectral_last"]'));
        return { start, none, one: { keys: keys(), pairs: pairs(), rows: rows() } };""")  # fmt: skip
    assert seen["start"]["keys"] == [
        *("cait", "cait untrained", "soft", "none", "spectral first", "projector last", "hard"),
    ]
    assert seen["none"] == {"keys": [], "rows": 0, "said": True}
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
        await change(one("select", dynamics), 3);
        const other = rows(dynamics), said = one(".measured", dynamics).textContent;
        await unfold(one(".chart > details", shape));
        await change(one("select", shape), 2);
        const names = () => new Set(all("tbody th", shape).map((head) => head.textContent)).size;
        const own = () => all("tbody tr", one(".chart > details", shape));
        const nulls = () => own().filter((row) => row.cells[7].textContent !== "-").length;
        const before = [names(), nulls()];
        await change(one('input[name="controls"]', shape));
        await change(one('input[name="nulls"]', shape));
        return { last, first, other, about, said, spoken, before, after: [names(), nulls()] };""")  # fmt: skip
    assert len(seen["last"]) == len(seen["first"]) == len(seen["other"]) > 20
    assert seen["last"] != seen["first"] != seen["other"] and seen["spoken"] == "Epoch 0"
    assert seen["about"].startswith("entropy [points]: What entropy is (n = 320 images, 2 seeds of each variant)")
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
        const shown = getComputedStyle(one("td.key", tip)).display;
        return { said, row: heads.map((head, at) => [head, cells[at]]), shown };
        """)  # fmt: skip
    assert seen["said"] == seen["row"] and ["network", "cait"] in seen["said"] and ["epoch", "2"] in seen["said"]
    assert seen["shown"] == "table-cell"


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
    assert seen["label"].startswith("Search in the table Test top-1 [%]")


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
