"""Studies of many networks or variants: report and page stay short, say what they leave out, and name who holds it."""

import json
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import made_up_page
import test_report
from asked import said
from distillation_dynamics import ranking
from distillation_dynamics.page import document, leading
from distillation_dynamics.page.panel import FADE, PageData
from distillation_dynamics.questions import dose
from distillation_dynamics.questions.alignment import NEAREST_COLUMNS
from distillation_dynamics.questions.controls import CONTROL_COLUMNS
from distillation_dynamics.questions.dose import effects
from distillation_dynamics.questions.planned import PLANNED_COLUMNS
from distillation_dynamics.report import head
from distillation_dynamics.spec.tables import Arm
from distillation_dynamics.stages import page as page_stage
from distillation_dynamics.stages import report as report_stage
from made_up import names
from made_up_claims import alone
from made_up_many import of_networks, of_variants
from test_report_variants import ALONE, contrast, effect, on_gains, on_variants, row_of

NETWORKS = tuple(f"network_{number:02d}" for number in range(40))
COPIES = tuple(f"spectral_last_{number:02d}" for number in range(46))
# Bytes of a file of the report, and of a page: vega.js alone has 850 kB.
REPORT, PAGE = 30_000, 4_000_000
SENTENCE = re.compile(
    r"The (?:table|list|text|choice|chart|text below) shows (?:the first )?12 of ([\d,]+) [^;]*; `(\S+)` holds all\."
)


# --- the rule ---


@pytest.mark.parametrize("count", [0, 1, ranking.MOST])
def test_of_few_all_are_shown_in_their_order(count):
    table = pd.DataFrame({"name": list(map(str, range(count)))})
    values = np.arange(count, dtype=float)
    pd.testing.assert_frame_equal(ranking.ordered(table, values), table)
    pd.testing.assert_frame_equal(ranking.ranked(table, values), table)
    assert ranking.more(table["name"]) == "" and ranking.shown(count, "rows", "the largest", "x.parquet") == ""


def test_of_many_the_largest_come_first_ties_as_they_were_and_missing_ones_last():
    values = [np.nan, 1, 3, 3, *[0] * ranking.MOST]
    table = pd.DataFrame({"place": range(len(values))})
    assert list(ranking.ordered(table, values)["place"]) == [2, 3, 1, *range(4, len(values)), 0]
    assert list(ranking.ranked(table, pd.Series(values))["place"]) == [2, 3, 1, *range(4, 4 + ranking.MOST - 3)]


def test_sentences_name_the_first_and_count_the_others():
    many = list("abcdefghijklmno")
    assert ranking.listed(many[:3]) == "a, b and c" and ranking.listed(()) == ""
    assert ranking.listed(many) == "a, b, c, d, e, f, g, h, i, j, k, l, and 3 more"
    assert ranking.top(many) == many[:12]
    said_of_all = ranking.shown(1500, "pairs", "the most alike", "statistics/networks.parquet")
    assert said_of_all == (sentence("12 of 1,500 pairs, the most alike first", "networks"))
    in_order = ranking.shown(13, "students", "", "study.json", "list")
    assert in_order == "The list shows the first 12 of 13 students; `study.json` holds all."


def sentence(ranked, table, where="The table"):
    """What is said where the first 12 are shown of what the statistics' table holds."""
    return f"{where} shows {ranked}; `statistics/{table}.parquet` holds all."


# --- the report ---


def written(folder, who, tables, statistics):
    """Write the tables of a study as its stages would, and its report; return the text of each file."""
    out = folder / "out"
    out.mkdir(parents=True)
    parts = {}
    for name, table in (tables | statistics).items():
        path = (out if name in statistics else folder) / f"{name}.parquet"
        table.to_parquet(path)
        parts[name] = test_report.file_of(path)
    job = test_report.ReportJob(who, parts, test_report.From("templates", files=()), out=str(out))
    report_stage.main(job)
    return {name: (out / name).read_text() for name in (*test_report.REPORT_FILES, "report.json")}


def small(folder, **options):
    """The tables of a small study, other stages' and those of its statistics."""
    job = test_report.made_up(folder, **options)
    test_report.stage.main(job)
    known = {name: pd.read_parquet(part.files[0]) for name, part in job.tables.items() if name != "splits"}
    return known, {name: pd.read_parquet(f"{job.out}/{name}.parquet") for name in test_report.COLUMNS}


@pytest.fixture(scope="module")
def forty(tmp_path_factory):
    """The report of 40 networks: text by file. Half of their controls are flat, half of their curves undecided."""
    folder = tmp_path_factory.mktemp("forty")
    tables, statistics = small(folder / "small", who=names(("vit", "cait"), teacher=None), flat=("cait_untrained",))
    who = names(NETWORKS, teacher=None)
    tables, statistics = (of_networks(part, "cait", ("vit", "cait"), NETWORKS) for part in (tables, statistics))
    tables["runs"]["test_top1"] = 60 + np.arange(40) / 4
    shape = statistics["shape"]
    odd = shape["network"].isin(NETWORKS[20:]) & (shape["role"] == "paper") & (shape["metric"] != "entropy")
    shape.loc[odd, ["verdict", "p_skewed"]] = "undecided", 0.01
    statistics["networks"]["cka"] = np.linspace(0.2, 0.9, len(statistics["networks"]))
    return written(folder / "many", who, tables, statistics)


@pytest.fixture(scope="module")
def fifty(tmp_path_factory):
    """The report of 50 variants of eight seeds: text by file."""
    folder = tmp_path_factory.mktemp("fifty")
    tables, statistics = small(folder / "small", seeds=8)
    statistics = of_variants(statistics, "spectral_last", COPIES)
    variants = statistics["variants"]
    variants["mean_difference"] = np.where(variants["variant"] == COPIES[9], -2.0, variants["mean_difference"])
    who = names(("cait",), [*test_report.VARIANTS, *COPIES], teacher="cait")
    return written(folder / "many", who, of_variants(tables, "spectral_last", COPIES), statistics)


@pytest.mark.parametrize("study_of", ["forty", "fifty"])
def test_the_report_of_many_stays_short_and_names_the_table_behind_each_list(study_of, request):
    texts = request.getfixturevalue(study_of)
    for name in test_report.REPORT_FILES:
        assert len(texts[name].encode()) < REPORT, name
    for line in texts["report.md"].splitlines():
        assert not line.startswith("|") or len(line) < 300
    tables = re.findall(r"(?:^\|.*\n)+", texts["report.md"], re.MULTILINE)
    lengths = [len(table.splitlines()) - 2 for table in tables]
    # Of networks, the rows of shape are up to four a network; there are 13 claims.
    assert max(lengths) <= 4 * ranking.MOST and sum(length > 13 for length in lengths) <= 1
    found = SENTENCE.findall(texts["report.md"])
    known = {f"statistics/{name}.parquet" for name in test_report.COLUMNS} | {"summary/summary.parquet"}
    assert found and {file for _, file in found} <= known
    assert texts["report.md"].count("holds all.") == len(found), "each sentence is of one form"
    assert all(int(count.replace(",", "")) > ranking.MOST for count, _ in found)


def test_the_report_of_forty_networks_ranks_them(forty):
    parts = test_report.sections(forty["report.md"])
    text = forty["report.md"]
    assert (
        "The table shows 12 of 40 networks, the highest test top-1 first; `summary/summary.parquet` holds all." in text
    )
    rows = re.findall(r"^\| (network_\d\d) \| network \| ([\d.]+) \|", text, re.MULTILINE)
    assert rows == [(f"network_{39 - place}", f"{69.75 - place / 4:.2f}") for place in range(12)]
    assert (
        sentence("12 of 40 networks, those with the most U-shaped metrics first", "shape")
        + " It lists their curves with a U, or undecided."
        in text
    )
    assert "| network_00 | intensity | U-shaped" in text and "| network_25 | intensity" not in text
    reasons = "The list shows the first 12 of 40 curves that are undecided or read otherwise in the paper;"
    assert f"{reasons} `statistics/shape.parquet` holds all." in text
    assert text.count(" is undecided:") == ranking.MOST
    controls = (
        "Of 40 controls 40 are flat over depth in some of these metrics (relative range below 0.001) and so no controls"
    )
    assert controls in text and "Set `control:" not in text
    assert sentence("12 of 780 pairs, the most alike by CKA first", "networks") in text
    pairs = re.findall(r"^\| (network_\d\d and network_\d\d) \| ([\d.]+) \|", text, re.MULTILINE)
    assert len(pairs) == ranking.MOST and [cka for _, cka in pairs] == sorted((c for _, c in pairs), reverse=True)
    assert "network_37, network_38" not in "".join(parts.values()), "sentences name no more than the first 12"


def test_the_report_of_fifty_variants_ranks_them(fifty):
    text = fifty["report.md"]
    for told in (
        "The table shows 12 of 51 networks and variants, teachers, baselines and the highest test top-1 first;",
        sentence("12 of 49 variants, the largest differences first", "variants"),
        "The table shows 12 of 49 variants, the largest falls from early to late gain first;",
        "The table shows 12 of 49 variants, the largest measured differences first; `statistics/published.parquet`",
    ):
        assert told in text, told
    own = text.split("## Does a variant help?")[1]
    table = re.findall(r"^\| (\w+) \| 8 \| ([-+][\d.]+)", own, re.MULTILINE)
    assert table[0] == (COPIES[9], "-2.00") and len(table) == ranking.MOST


# --- each answer ---

MANY = 15
ROWS = range(MANY)
LISTED = "b12, b13, b14"


def of_students(count):
    """A study of so many students with one baseline each."""
    who = names(("cait",), ("soft",), teacher="cait")
    arms = {f"s{place}_soft": Arm("soft", f"s{place}", "cait") for place in range(count)}
    return replace(who, arms=arms, baselines={f"s{place}": f"s{place}_soft" for place in range(count)})


def differences(make, **more):
    """Rows of variants b0 to b14; each differs more from the baseline than those before it."""
    return [make(variant=f"b{place}", mean_difference=0.1 * place, **more) for place in ROWS]


def names_in(paragraphs):
    """The names in the first column of the last table."""
    (*_, table) = [part for part in paragraphs if part.startswith("|")]
    return [line.split("|")[1].strip() for line in table.splitlines()[2:]]


def test_variants_that_differ_are_named_by_size():
    rows = differences(row_of, p_joint=0.01, changes=2)
    paragraphs = on_variants(*rows)
    assert paragraphs[0] == (
        "**15 variants (b0 +0.00 to b14 +1.40 points) differ significantly from soft, of 15 "
        "variants tested over 8 seeds.**"
    )
    assert sum("differs from soft in 2 changes" in part for part in paragraphs) == ranking.MOST
    assert names_in(paragraphs) == [f"b{place}" for place in range(14, 2, -1)]
    assert sentence("12 of 15 variants, the largest differences first", "variants") in str(paragraphs)
    assert "holds all" not in str(on_variants(*rows[: ranking.MOST]))


def test_gains_that_turn_are_named_by_their_turn():
    turn = {"early_gain": 1.0, "early_p": 0.01, "late_p": 0.01}
    paragraphs = on_gains(*(row_of(f"b{place}", late_gain=-0.1 * (1 + place), **turn) for place in ROWS))
    assert paragraphs[0] == "**Of 15 variants, against soft (8 seeds): 15 gain early and lose late by the joint test.**"
    paragraphs = on_gains(*(row_of(f"b{n}", late_gain=-0.1 * (1 + n), early_gain=1.0) for n in ROWS))
    assert "(8 seeds): 15 gain early and lose late only in the mean: no test or" in paragraphs[0]
    assert names_in(paragraphs) == [f"b{place}" for place in range(14, 2, -1)]
    assert "The table shows 12 of 15 variants, the largest falls from early to late gain first;" in str(paragraphs)


def test_contrasts_and_doses_are_those_of_the_largest_differences():
    found = pd.DataFrame(differences(contrast))
    mixed = pd.DataFrame([contrast(dose.OF_BOTH, variant=f"m{place}") for place in ROWS])
    terms = {"pairs": "0-0", "epoch": 1, "share": 0.5, "gradient_share": 0.1, "cosine": 0.2, "given": "weight 0.2"}
    given = pd.DataFrame([{"variant": f"b{place}", "term": "spectral"} | terms for place in ROWS])
    tables = {"effects": ALONE, "dose_and_place": pd.concat([found, mixed]), "doses": given}
    paragraphs = said("dose", **tables)
    assert paragraphs[0] == "**Of 15 contrasts of place the later is worse in 15, over 8 seeds.**"
    (at_one_weight,) = [part for part in paragraphs if part.startswith("At one weight")]
    assert at_one_weight.count("of the loss and") == ranking.MOST and ", and 3 more; their difference" in at_one_weight
    assert sentence("12 of 30 contrasts, the largest differences first", "dose_and_place") in str(paragraphs)
    assert sentence("the first 12 of 15 terms", "doses") in paragraphs
    assert names_in(paragraphs) == [f"b{place}" for place in range(12)]


def test_terms_with_pairs_and_students_are_counted():
    rows = differences(effect, verdict=effects.HELPS)
    empty = {"alignment": pd.DataFrame(columns=["baseline", "cka_rows", "cka_kind", "cka_seeds"])}
    empty["nearest"] = pd.DataFrame(columns=[*NEAREST_COLUMNS])
    answer = said("alignment", alone("a"), effects=pd.DataFrame(rows), **empty)[0]
    assert answer == "**Aligning helped in 15 of 15 terms with pairs (b0 +0.00 to b14 +1.40 points).**"
    who = of_students(MANY)
    paragraphs = said("alignment", who, effects=pd.DataFrame(rows), **empty)
    assert sentence("the first 12 of 15 students", "alignment", "The text below") in paragraphs
    (unmeasured,) = [text for text in paragraphs if "was not measured for" in text]
    assert unmeasured.count(",") == ranking.MOST - 2


def test_controls_are_ranked_by_size():
    row = dict.fromkeys(CONTROL_COLUMNS, np.nan) | {
        "control": "c",
        "target": "shuffled",
        "term": "spectral",
        "seeds": 8,
    }
    row |= {"baseline": "soft", "verdict": "better", "p_joint": 0.01, "joint_comparisons": MANY}
    rows = [row | {"variant": f"b{place}", "mean_difference": -0.1 * place} for place in ROWS]
    paragraphs = said("controls", controls=pd.DataFrame(rows))
    assert (
        paragraphs[0]
        == "**Of 15 variants and controls the variant is better in 15 (up to -0.00 points: b0 with shuffled).**"
    )
    assert names_in(paragraphs) == [f"b{n}" for n in range(14, 2, -1)]
    verdicts = ["worse", "not found", "untested", "worse"]
    few = pd.DataFrame(rows[:4]).assign(verdict=verdicts)
    assert said("controls", controls=few)[0] == (
        "**Of 4 variants and controls the variant is worse in 2 (up to -0.30 points: b3 with shuffled); not detectably "
        "different in 1; not tested in 1.**"
    )
    assert sentence("12 of 15 controls, the largest differences first", "controls") in paragraphs


def test_planned_comparisons_are_ranked_and_families_counted():
    row = dict.fromkeys(PLANNED_COLUMNS, np.nan) | {"verdict": "not found", "seeds": 8}
    rows = [row | {"family": f"f{n}", "comparison": f"b{n} minus soft", "mean_difference": 0.1 * n} for n in ROWS]
    paragraphs = said("planned", planned=pd.DataFrame(rows))
    assert paragraphs[0] == "**Of 15 comparisons in 15 families 0 are higher and 0 lower, 8 seeds.**"
    assert names_in(paragraphs) == [f"f{place}" for place in range(14, 2, -1)]
    assert sentence("12 of 15 comparisons, the largest differences first", "planned") in str(paragraphs)


def test_networks_are_ranked_by_each_probe():
    who = names(NETWORKS[:MANY], teacher=None, controls=())
    row = {"block": 1, "block_name": "b", "images": 90, "last_top1": 10.0, "chance": 2.0}
    rows = [
        row | {"network": name, "probe": probe, "top1": 50.0 + sign * place}
        for probe, sign in (("linear", 1), ("nearest", -1))
        for place, name in enumerate(who.networks)
    ]
    paragraphs = said("classes", who, class_probes=pd.DataFrame(rows))
    assert paragraphs[0].startswith("**By a linear probe 64.0 % in network_14 (no control was measured), 63.0 %")
    assert ", and 3 more; chance: 2.0 %.**" in paragraphs[0]
    order = [f"network_{n:02d}" for n in (*range(14, 2, -1), *range(12))]
    assert names_in(paragraphs) == order
    assert (
        "Top-1 of 90 images. The table shows 12 of 15 networks, of each probe the highest top-1 first; "
        "`statistics/class_probes.parquet` holds all." in paragraphs
    )


def test_the_head_lists_the_first_networks_and_names_the_record_of_all():
    config = {"data": {"train": "images"}, "networks": {}}
    known = {"view": {"image_size": 32}, "resampling": None}
    model = {"model": {"name": "vit", "args": {}}, "weights": "w"}
    study = {"networks": {name: known for name in NETWORKS}, "commit": None, "versions": {"python": "3"}, "date": "now"}
    study |= {"configuration": config | {"networks": dict.fromkeys(NETWORKS, model)}, "image_counts": {}}
    study |= {"machine": {"cores": 2, "system": "Linux"}}
    runs = pd.DataFrame({"network": NETWORKS, "seed": pd.NA, "loaded": ""})
    cost = pd.DataFrame({"images_per_second": [np.nan], "cpu": "x", "threads": 1.0})
    table = head.table(study, runs, cost)
    assert table.count("| network network_") == ranking.MOST
    assert "| further networks | The table shows the first 12 of 40 networks; `study.json` holds all. |" in table


# --- the page ---


def page_of(folder, who, tables):
    """Write a page; return its text and what it has for its script."""
    page_stage.main(made_up_page.write(folder, who, tables, figures=()))
    text = (folder / "out/index.html").read_text()
    data = re.search(r'<script type="application/json" id="page-data">(.*?)</script>', text, re.DOTALL)[1]
    return text, json.loads(data)


def values_of(table, column):
    """The different values of a column of a table of a page."""
    found = table["columns"][column]
    return found["levels"] if isinstance(found, dict) else list(dict.fromkeys(found))


def test_the_page_of_forty_networks_offers_them_all_and_has_pictures_pairs_and_spectra_of_the_first(tmp_path):
    small = names(("cait", "vit"), teacher=None)
    who = names(NETWORKS, teacher=None)
    tables = of_networks(made_up_page.tables_of(small, (0,)), "cait", ("cait", "vit"), NETWORKS)
    shape = {"verdict": "U-shaped", "role": "paper", "probe": "balanced", "metric": "intensity"}
    tables["shape"] = pd.DataFrame([shape | {"network": name} for name in NETWORKS[20:]])
    text, data = page_of(tmp_path, who, tables)
    assert len(text.encode()) < PAGE
    first = [NETWORKS[0], *NETWORKS[20:31]]
    assert set(data["start"]) <= {*NETWORKS[:6], *first} and len(data["start"]) <= ranking.MOST + 6
    assert text.count('type="checkbox"') == 40 and set(values_of(data["tables"]["profiles"], "owner")) == set(NETWORKS)
    for name in ("spectra", "spectra_by_block", "blocks"):
        assert set(values_of(data["tables"][name], "owner")) <= set(first), name
    assert set(values_of(data["tables"]["networks"], "other")) <= {*first, *(f"{name}_untrained" for name in first)}
    told = "12 of 40 networks, those with the most U-shaped metrics first; statistics/networks.parquet holds all."
    assert f"The chart shows {told}" in text
    for file in ("tables/spectrum.parquet", "tables/cka.parquet", "tables/saliency.parquet", "summary/summary.parquet"):
        assert f"U-shaped metrics first; {file} holds all." in text, file
    assert "What are network 00, network 01," in text and "network 11, and 28 more like inside" in text


def test_the_page_of_fifty_variants_has_pairs_and_losses_of_those_that_differ_most(tmp_path):
    copies = [f"spectral_{number:02d}" for number in range(43)]
    small, who = made_up_page.WHO, names(("cait", "vit"), [*made_up_page.VARIANTS, *copies], teacher="cait")
    tables = of_variants(made_up_page.tables_of(small), "spectral_last", copies)
    sizes = {name: place / 10 for place, name in enumerate(copies)}
    variants = tables["variants"]
    tables["variants"] = variants.assign(mean_difference=[sizes.get(name, 0.0) for name in variants["variant"]])
    text, data = page_of(tmp_path, who, tables)
    assert len(text.encode()) < PAGE
    first = {"soft", *copies[-11:]}
    assert set(values_of(data["tables"]["pairs"], "one")) == first
    assert set(re.findall(r'data-beside="(\w+)"', text)) == first | {"cait", "vit"}
    said_of = "12 of 50 variants, the largest differences first; study.json holds all."
    assert f"Blocks are counted from 0. The table shows {said_of}" in text
    assert all(chart["follow"] != FADE for panel in data["panels"] for chart in panel["charts"])
    assert set(data["start"]) >= {"cait", "soft", copies[-1]}


def test_leading_ones_of_few_are_all_and_of_many_those_without_a_value_come_last():
    assert leading.leading(PageData(made_up_page.WHO, {}, {})) == made_up_page.WHO.trained
    who = names(("cait",), ["soft", *(f"b{place}" for place in ROWS)], teacher="cait")
    assert leading.leading(PageData(who, {}, {})) == ("cait", "soft", *(f"b{place}" for place in range(11)))
    known = pd.DataFrame({"variant": ["b14", "b13"], "mean_difference": [-2.0, 1.0]})
    found = leading.leading(PageData(who, {"variants": known}, {}))
    assert found == ("cait", "soft", *(f"b{place}" for place in range(9)), "b13", "b14")
    assert document.start(PageData(who, {"variants": known}, {})) == ["cait", "soft", "b13", "b14"]
