"""The page in headless Chromium: no error, no request, its controls work, and it fits a narrow window.

A page is shown in a frame of a given width, with a few lines of script that operate it and say what they saw.
"""

import json
import re
import shutil
import subprocess

import pytest

from distillation_dynamics.stages import page as stage
from made_up_page import WHO, write

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is here (Debian: apt-get install chromium)")
FRAME = """<!DOCTYPE html><html><body style="margin:0">
<iframe src="page.html" width="{width}" height="900" style="border:0"></iframe><pre id="said"></pre>
<script>
addEventListener("message", (event) => {{ document.getElementById("said").textContent = event.data; }});
</script>
</body></html>"""
# Before anything of the page: what it does that it must not.
WATCH = """<script>window.faults = [];
addEventListener("securitypolicyviolation", (event) => faults.push(`${event.violatedDirective} ${event.blockedURI}`));
addEventListener("error", (event) => faults.push(event.message));
addEventListener("unhandledrejection", (event) => faults.push(String(event.reason)));</script>"""
OPERATE = """<script>(async () => {{
const rest = (time) => new Promise((done) => setTimeout(done, time));
while (document.body.dataset.ready !== "yes" && faults.length === 0) await rest(50);
const one = (query, from = document) => from.querySelector(query);
const all = (query, from = document) => [...from.querySelectorAll(query)];
const section = (id) => document.getElementById(id);
const change = async (element, value) => {{
  if (element.type === "checkbox") element.click();
  else {{ element.value = value; for (const kind of ["input", "change"]) element.dispatchEvent(new Event(kind)); }}
  await rest(1500);
}};
let seen = {{}};
try {{ seen = await (async () => {{ {script} }})(); }} catch (error) {{ faults.push(String(error)); }}
const asked = performance.getEntriesByType("resource").map((entry) => entry.name);
parent.postMessage(JSON.stringify({{ seen, faults, asked: asked.filter((name) => !/^(data|blob):/.test(name)) }}), "*");
}})();</script>"""


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The page of a made-up study."""
    folder = tmp_path_factory.mktemp("page")
    stage.main(write(folder, WHO))
    return (folder / "out/index.html").read_text()


def browse(folder, page, script, width=1200, options=()):
    """Return what `script` saw of a page that did nothing it must not, and the whole frame as text."""
    page = page.replace("<head>", f"<head>{WATCH}", 1).replace("</body>", OPERATE.format(script=script) + "</body>", 1)
    (folder / "page.html").write_text(page)
    (folder / "frame.html").write_text(FRAME.format(width=width))
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    command += [f"--user-data-dir={folder / 'profile'}", "--enable-logging=stderr", "--virtual-time-budget=100000"]
    # Frame and page are of one origin, and of one time, only so.
    command += [
        "--allow-file-access-from-files",
        "--window-size=1600,1000",
        *options,
        "--dump-dom",
        (folder / "frame.html").as_uri(),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    said = re.search(r'<pre id="said">(.*?)</pre>', done.stdout, re.S).group(1)
    told = json.loads(said.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))
    assert told["faults"] == [] and told["asked"] == [] and console == []
    return told["seen"]


def test_every_chart_is_drawn_and_nothing_is_asked_for(tmp_path, page):
    seen = browse(tmp_path, page, """
        return {
            drawn: all(".drawing").map((place) => all("svg path, svg rect, svg line", place).length),
            panels: all("[data-panel]").map((place) => place.dataset.panel), chosen: one("#chosen").textContent,
            open: all("details.folded[open]").length, empty: all(".nothing:not([hidden])").length,
        };""")  # fmt: skip
    assert len(seen["drawn"]) == 15 and min(seen["drawn"]) > 5
    assert len(seen["panels"]) == 13 and seen["chosen"] == "6 of 9"
    assert seen["open"] == 0 and seen["empty"] == 0


def test_a_request_would_be_refused_and_seen(tmp_path, page):
    with pytest.raises(AssertionError, match="connect-src"):
        browse(tmp_path, page, 'await fetch("https://example.org/").catch(() => 0); await rest(100);')


def test_all_panels_follow_the_choice_of_networks(tmp_path, page):
    seen = browse(tmp_path, page, """
        const keys = () => all(".key li", section("shape")).map((item) => item.textContent);
        const pairs = () => all("option:not([hidden])", one('select[name="pair"]', section("cka"))).length;
        const rows = () => all("tr[data-owner]:not([hidden])", section("saliency")).length;
        const start = { keys: keys(), pairs: pairs(), rows: rows() };
        one('button[data-choose="none"]').click();
        await rest(3000);
        const none = { keys: keys(), rows: rows(), said: !one(".nothing", section("shape")).hidden };
        await change(one('input[value="spectral_last"]'));
        await rest(2000);
        return { start, none, one: { keys: keys(), pairs: pairs(), rows: rows() } };""")  # fmt: skip
    assert seen["start"]["keys"] == [
        *("cait", "cait untrained", "soft", "none", "spectral first", "projector last", "hard"),
    ]
    assert seen["none"] == {"keys": [], "rows": 0, "said": True}
    assert seen["one"]["keys"] == ["spectral last"] and seen["one"]["pairs"] == 1 and seen["one"]["rows"] == 1
    assert seen["start"]["rows"] == 7


def test_sliders_measures_and_switches_change_what_is_shown(tmp_path, page):
    seen = browse(tmp_path, page, """
        const dynamics = section("dynamics"), shape = section("shape");
        const behind = one(".chart details", dynamics);
        behind.open = true;
        await rest(500);
        const rows = (where) => all("tbody tr", one(".chart details", where)).map((row) => row.textContent);
        const last = rows(dynamics), about = one(".measured", dynamics).textContent;
        await change(one('input[name="epoch"]', dynamics), 0);
        const first = rows(dynamics), spoken = one('input[name="epoch"]', dynamics).getAttribute("aria-valuetext");
        await change(one("select", dynamics), 3);
        const other = rows(dynamics), said = one(".measured", dynamics).textContent;
        one(".chart details", shape).open = true;
        await change(one("select", shape), 2);
        const names = () => new Set(all("tbody th", shape).map((head) => head.textContent)).size;
        const own = () => all("tbody tr", one(".chart details", shape));
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


def test_tables_are_sorted_and_searched_by_keyboard_too(tmp_path, page):
    seen = browse(tmp_path, page, """
        const table = one("table.data", section("claims")), where = section("accuracy");
        const heads = all("th button", table);
        const verdicts = () => all("tbody td:nth-child(2)", table).map((cell) => cell.textContent);
        heads[1].focus();
        heads[1].click();
        const up = [verdicts(), heads[1].parentElement.getAttribute("aria-sort")];
        heads[1].click();
        const down = [verdicts(), heads[1].parentElement.getAttribute("aria-sort")];
        one(".chart details", where).open = true;
        await rest(500);
        const behind = one(".chart details", where), search = one("input[type=search]", behind);
        const shown = () => all("tbody tr:not([hidden])", behind).length, every = shown();
        await change(search, "spectral_last");
        const focus = all("a[href], button, input, select, summary, [tabindex]").every((part) => part.tabIndex >= 0);
        return { up, down, every, found: shown(), focus, label: search.getAttribute("aria-label") };""")  # fmt: skip
    ordered = ["contradicted", "not testable here", "supported", "undecided"]
    assert seen["up"] == [ordered, "ascending"] and seen["down"] == [ordered[::-1], "descending"]
    assert seen["every"] == 9 + 2 + 7 * 2 and seen["found"] == 3 and seen["focus"]
    assert seen["label"].startswith("Search in the table Test top-1 [%]")


@pytest.mark.parametrize("width", [360, 1600])
@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_the_page_fits_its_window_light_and_dark(tmp_path, page, width, scheme):
    seen = browse(tmp_path, page, """
        for (const part of all("details")) part.open = true;
        await rest(3000);
        const root = document.documentElement, style = getComputedStyle(document.body);
        const wide = all("main *").filter((part) => part.getBoundingClientRect().right > root.clientWidth + 1)
            .filter((part) => !part.closest(".scroll, pre, svg")).map((part) => `${part.tagName} ${part.className}`);
        return { page: [root.scrollWidth, root.clientWidth], wide, ground: style.backgroundColor, ink: style.color };
        """, width, [f"--blink-settings=preferredColorScheme={int(scheme == 'light')}"])  # fmt: skip
    assert seen["page"] == [width, width] and seen["wide"] == []
    light = [sum(map(int, re.findall(r"\d+", seen[name])[:3])) / 3 for name in ("ground", "ink")]
    assert (light[0] > 230 and light[1] < 60) if scheme == "light" else (light[0] < 60 and light[1] > 200)
