"""The page of a study: its sections, what it says where something is missing, and that it asks for nothing outside."""

import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from importlib import import_module

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

from distillation_dynamics import extensions
from distillation_dynamics.drawing.style import Style
from distillation_dynamics.errors import StudyError
from distillation_dynamics.jobs.gathered import known_tables
from distillation_dynamics.page import document, html, looks, metrics, profiles, rows
from distillation_dynamics.page.panel import PageData
from distillation_dynamics.page.panels import beside, provenance, spectra
from distillation_dynamics.spec.base import from_json, to_json
from distillation_dynamics.spec.tables import Names
from distillation_dynamics.stages import page as stage
from frames import frame
from helpers import graph_of, load, smoke_config
from made_up_page import ALONE, EDGES, WHO, report_of, tables_of, write

EMPTY = {"meta", "input", "img", "br"}
MADE = {
    "name": "made_up", "configuration": {"name": "made_up", "seeds": [0]}, "code": {"stages.page": "abc"},
    "images": {"main": {"train": "1234"}}, "weights": {"vit": "5678"}, "shared_folders": {"data main": "results/x"},
    "commit": {"hash": "deadbeef", "clean": False}, "versions": {"python": "3.11"}, "machine": {"cores": 2},
    "date": "2026-01-01",
}  # fmt: skip


class Read(HTMLParser):
    """What stands in a page: tags with their attributes, and text outside scripts; fails where tags do not close."""

    def __init__(self, said):
        super().__init__()
        self.tags, self.open, self.text = [], [], []
        self.feed(said)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not {"script", "style"} & set(self.open):
            self.text.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def words(self):
        return " ".join(" ".join(self.text).split())


def written(folder, **given):
    job = write(folder, **given)
    stage.main(job)
    return (folder / "out/index.html").read_text()


def data_of(said):
    """What the page gives to its script."""
    return json.loads(re.search(r'<script type="application/json" id="page-data">(.*?)</script>', said, re.S).group(1))


def sections(said):
    return [one["id"] for one in Read(said).all("section")]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return written(tmp_path_factory.mktemp("whole"), made=MADE)


def test_a_whole_study_has_every_section_and_one_order_of_contents_and_sections(whole):
    read = Read(whole)
    assert sections(whole) == [
        *("answers", "paper", "accuracy", "what-this-study-can-show", "study", "the-variants", "shape", "dynamics"),
        *("spectra", "networks", "map", "classes", "variants", "beside", "gain", "terms", "alignment", "cka"),
        *("published", "claims", "cost", "provenance", "a-question-without-a-panel", "glossary"),
    ]
    panels = {panel["id"] for panel in data_of(whole)["panels"]}
    places = {one["data-panel"] for one in read.all("div") if "data-panel" in one}
    assert panels == places and len(panels) == 16
    links = [one["href"][1:] for one in read.all("a") if one["href"][0] == "#" and "class" not in one][1:]
    assert links == sections(whole), "every section is in the contents"
    assert set(links) <= {one.get("id") for _, one in read.tags}


def test_the_summary_stands_in_front_and_answers_in_their_sections(whole):
    words = Read(whole).words
    assert words.index("+0.50 [+0.10, +0.90] points") < words.index("About Accuracy")
    assert words.count("About Does a variant help?") == words.count("About A question without a panel") == 1
    assert "How it was tested." in words
    assert "compared with soft" in words and "distillation training a student on a teacher's outputs" in words
    assert (
        "What does distilling the teacher cait do inside a student? 7 variants of the loss, compared with soft" in words
    )


def test_nothing_outside_the_page_is_named_but_by_the_library_that_draws(whole):
    read = Read(whole)
    assert not [one for name, one in read.tags if name in ("link", "iframe", "object", "base", "audio", "video")]
    assert all(one["src"].startswith("data:image/webp;base64,") for one in read.all("img"))
    assert all("src" not in one for one in read.all("script"))
    sites = ("https://doi.org/10.1609/", "https://arxiv.org/abs/")
    assert all(one["href"].startswith(("#", "../../docs/", *sites)) for one in read.all("a"))
    assert len([one for one in read.all("a") if one["href"].startswith(sites)]) == 3
    (policy,) = [one["content"] for one in read.all("meta") if one.get("http-equiv") == "Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; ") and "http" not in policy and "connect-src" not in policy
    own = re.sub(r"<script>/\*! vega .*?</script>", "", whole, flags=re.S)
    assert len(own) < len(whole) - 800_000
    named = {one for one in re.findall(r"https?://[^\"' )]+", own) if not one.startswith(sites)}
    assert named == {"http://www.w3.org/2000/svg"}


def test_readers_of_screens_and_keyboards_find_heads_and_names(whole):
    read = Read(whole)
    assert all(one.get("scope") in ("col", "row") for one in read.all("th"))
    assert all(one["alt"] for one in read.all("img"))
    assert len(read.all("table")) == len(read.all("caption")) > 10
    scrolling = [one for one in read.all("div") if one.get("class") == "scroll"]
    assert all(one["tabindex"] == "0" and one["role"] == "region" and one["aria-label"] for one in scrolling)
    assert read.all("html") == [{"lang": "en"}] and len(read.all("h1")) == 1
    (drawing,) = read.all("svg")
    assert drawing["role"] == "img" and "measure reads students" in drawing["aria-label"]
    charts = [chart for panel in data_of(whole)["panels"] for chart in panel["charts"]]
    assert all(chart["description"] and chart["columns"] for chart in charts)


def test_without_scripts_pictures_and_tables_are_open(whole):
    folded = [one for one in Read(whole).all("details") if "folded" in one.get("class", "")]
    assert len(folded) > 10 and all("open" in one for one in folded)
    assert "accuracy: What accuracy shows." in Read(whole).words


def test_provenance_says_what_made_the_study(whole):
    words = Read(whole).words
    for said in ("deadbeef, with changes that are not committed", "seeds: - 0", "stages.page abc", "weights vit 5678",
                 "images main train 1234", "version of python 3.11",
                 "Stage Results Minutes", "students 1 30", "together 1 30"):  # fmt: skip
        assert said in words


def test_a_study_without_study_json_or_repository_says_so(tmp_path):
    assert "study.json is missing" in Read(written(tmp_path / "a")).words
    assert "not known (no repository)" in Read(written(tmp_path / "b", made=MADE | {"commit": None})).words


def test_equal_files_give_equal_bytes_and_a_small_page(whole, tmp_path):
    same = written(tmp_path, made=MADE) == whole
    assert same, "and not shown: a difference of megabytes takes minutes to say"
    assert len(whole) < 2_500_000


def test_each_table_stands_once_in_few_digits(whole):
    data = data_of(whole)
    used = {chart["table"] for panel in data["panels"] for chart in panel["charts"]}
    assert used == set(data["tables"])
    for table in data["tables"].values():
        for column in table["columns"].values():
            values = column["codes"] if isinstance(column, dict) else column
            assert len(values) == table["rows"]
            assert all(len(f"{abs(value):g}") <= 10 for value in values if isinstance(value, float))


def test_what_a_chart_reads_is_in_its_table(whole):
    data = data_of(whole)
    computed = {"value", "low", "high", "null", "null_low", "null_high", "gaussian", "faded"}
    for panel in data["panels"]:
        known = {control["name"]: control for control in panel["controls"]}
        for chart in panel["charts"]:
            columns = set(data["tables"][chart["table"]]["columns"])
            measured = chart["fields"] or any(known[name]["kind"] == "measure" for name in chart["controls"])
            assert set(chart["columns"]) <= columns | (computed if measured else set()), chart["title"]
            assert set(chart["fields"].values()) <= columns
            assert set(chart["where"]) <= columns
            assert not chart["follow"] or "owner" in columns
            for name in chart["controls"]:
                control = known[name]
                wanted = {control["field"]} if control["field"] else set()
                if control["kind"] == "who" and chart["table"] == "pairs":
                    wanted = {name}
                if control["kind"] == "measure":
                    wanted = {option["value"] for option in control["options"]}
                    wanted |= {column for option in control["options"] for column in option.get("fields", {}).values()}
                assert wanted <= columns, (chart["title"], name)


def test_names_that_look_like_html_stay_text(tmp_path):
    tables = tables_of(WHO)
    tables["map"]["block_name"] = "</script><script>alert(1)</script>"
    report = report_of(["<img src=x onerror=alert(1)>"])
    made = MADE | {"configuration": {"name": "<script>alert(2)</script>"}}
    said = written(tmp_path, tables=tables, report=report, made=made)
    assert "alert(1)</script>" not in said and "<script>alert" not in said and "<img src=x" not in said
    assert "<script>alert(2)</script>" in Read(said).words
    data = re.search(r'id="page-data">(.*?)</script>', said, re.S)
    assert data and "alert(1)" in data[1] and "<" not in data[1], "with a space behind it, </script would end the data"
    assert data_of(said)["tables"]["map"]["columns"]["block_name"]["levels"] == ["</script><script>alert(1)</script>"]


def test_a_study_of_networks_alone_has_no_section_on_students(tmp_path):
    said = written(tmp_path, who=ALONE, report=report_of(["Networks compared"]))
    assert sections(said) == [
        *("answers", "paper", "accuracy", "study", "shape", "spectra", "networks", "map", "classes", "beside"),
        *("course", "cka", "claims", "cost", "provenance", "glossary"),
    ]
    assert "What are cait and vit like inside, block by block" in Read(said).words
    assert not re.search(r"distilling the teacher|<legend>Variants", said)
    assert data_of(said)["start"] == ["cait", "vit"]
    controls = {control["name"] for panel in data_of(said)["panels"] for control in panel["controls"]}
    assert "epoch" not in controls


def test_networks_alone_that_were_trained_have_their_training_curves(tmp_path):
    tables = tables_of(ALONE)
    course = {
        "network": "vit",
        "seed": None,
        "epoch": [1, 2],
        "validation_top1": [60.0, 70.0],
        "validation_loss": np.nan,
    }
    said = written(tmp_path, who=ALONE, tables=tables | {"epochs": frame(course)})
    assert "course" in sections(said) and "gain" not in sections(said)
    assert data_of(said)["tables"]["course"]["columns"]["validation_top1"] == [60.0, 70.0]


def test_the_record_of_a_student_is_that_of_its_run_and_counts_once():
    graph = graph_of(load(smoke_config()))
    assert graph.page.job.records["students"] == tuple(task.record for task in graph.students.values())


def test_one_seed_has_no_intervals(tmp_path):
    said = written(tmp_path, tables=tables_of(WHO, seeds=(0,)))
    columns = data_of(said)["tables"]["differences"]["columns"]
    assert set(columns["low"]) == {None} and any(value is not None for value in columns["value"])
    profiles = data_of(said)["tables"]["profiles"]["columns"]
    students = [at for at, epoch in enumerate(profiles["epoch"]) if epoch is not None]
    assert {profiles["rms_half"][at] for at in students} == {None}
    equal = pd.DataFrame({"network": "soft", "seed": [0, 1], "rms": 1.5, "entropy": [1.0, 2.0]})
    halves = rows.over_seeds(equal, ["network"], ["rms", "entropy"])[["rms_half", "entropy_half"]]
    assert halves.isna().to_numpy().tolist() == [[True, False]], "nor have seeds without spread"


@pytest.mark.parametrize("table", [*tables_of(WHO)])
def test_a_page_is_whole_without_any_one_table(tmp_path, table):
    tables = tables_of(WHO)
    del tables[table]
    if table == "summary":
        # Runs have their means there: both come from one job.
        del tables["runs"]
    assert {"answers", "provenance"} <= set(sections(written(tmp_path, tables=tables)))


@pytest.mark.parametrize("empty", ["rows", "values"])
def test_tables_without_rows_or_values_leave_their_sections_out(tmp_path, empty):
    tables = tables_of(WHO)
    for name, table in tables.items():
        keys = [
            "network",
            "seed",
            "epoch",
            "block",
            "block_name",
            "probe",
            "images",
            "other",
            "device",
            "map",
            "method",
        ]
        keys += ["image", "label", "rows", "columns", "verdict", "frequency"]
        numbers = [column for column in table if column not in keys and table[column].dtype.kind == "f"]
        tables[name] = table.head(0) if empty == "rows" else table.assign(**dict.fromkeys(numbers, np.nan))
    said = written(tmp_path, tables=tables)
    assert {"answers", "provenance"} <= set(sections(said))
    assert data_of(said)["panels"] == [] and data_of(said)["tables"] == {}
    # The report's text is shown nevertheless.
    assert "About Does a variant help?" in Read(said).words


def test_saliency_without_any_value_is_left_out(tmp_path):
    tables = tables_of(WHO)
    nothing = [np.full_like(one, np.nan) for one in tables["saliency"]["map"]]
    known = tables["saliency"]["method"] == "image"
    tables["saliency"].loc[~known, "map"] = pd.Series(nothing)[~known]
    assert "Saliency of the label's logit" not in Read(written(tmp_path / "a", tables=tables)).words
    tables = tables_of(WHO)
    chosen = (tables["saliency"]["network"] == "soft") & (tables["saliency"]["method"] == "gradient")
    tables["saliency"].loc[chosen, "map"] = pd.Series(nothing)[chosen]
    assert "no value" in Read(written(tmp_path / "b", tables=tables)).words


def test_saliency_names_classes_and_always_shows_the_untrained_student(tmp_path):
    tables = tables_of(WHO)
    first = tables["saliency"].query("network == @WHO.baseline")
    tables["saliency"] = pd.concat([tables["saliency"].assign(epoch=5), first.assign(epoch=0)])
    said = written(tmp_path, tables=tables, classes=("shirt", "boot", "bag"))
    assert "image 0, shirt" in Read(said).words
    assert '<tr><th scope="row">untrained student</th>' in said and '<tr data-owner="soft">' in said


def test_heads_say_what_is_shown_and_texts_have_no_marks_of_markdown(whole):
    for panel in data_of(whole)["panels"]:
        for chart in panel["charts"]:
            assert not {"value", "null", "low", "high"} & set(chart["columns"].values()), chart["title"]
        texts = [text for control in panel["controls"] for option in control["options"] for text in option.values()]
        assert not [text for text in [*texts, *(one["description"] for one in panel["charts"])] if "`" in str(text)]
    assert not re.findall(r"\b1 (?:points|seeds|blocks|images|epochs|rows)\b", Read(whole).words)


def axes(part):
    """Yield the channels x and y of numbers in a specification."""
    if isinstance(part, dict):
        for name, inner in part.items():
            if name in ("x", "y") and isinstance(inner, dict) and inner.get("type") == "quantitative":
                yield inner
            yield from axes(inner)
    elif isinstance(part, list):
        for inner in part:
            yield from axes(inner)


def test_every_axis_of_numbers_has_a_title(whole):
    charts = [chart for panel in data_of(whole)["panels"] for chart in panel["charts"]]
    assert len(charts) == 25
    for chart in charts:
        titles = [one.get("title") for one in axes(chart["spec"]) if "datum" not in one]
        assert None not in titles, chart["title"]


def test_terms_of_a_loss_have_the_colours_of_the_printed_figures_and_of_their_variants(whole):
    # A task is read back from its file.
    known, style = data_of(whole)["looks"], Style("colorblind", 60, from_json(Names, to_json(WHO)))
    printed = {name: mpl.colors.to_hex(color) for name, color in style.terms().items()}
    assert dict(zip(known["terms"]["names"], known["terms"]["light"], strict=True)) == printed
    (chart,) = next(panel["charts"] for panel in data_of(whole)["panels"] if panel["id"] == "terms")
    (bar,) = chart["spec"]["layer"]
    assert bar["encoding"]["color"]["scale"] == "looks.terms"
    own = dict(zip(known["names"], known["light"], strict=True))
    assert own["soft"] == printed["soft"]


def test_networks_with_a_u_are_shown_at_the_start(tmp_path):
    tables = tables_of(WHO)
    rows = {"network": ["vit", "vit", "cait"], "metric": "entropy", "probe": "balanced"}
    rows |= {"role": ["paper", "control", "control"], "verdict": ["not U-shaped", "U-shaped", "U-shaped"]}
    tables["shape"] = frame(rows)
    assert "vit" not in document.start(data_for(tables))
    tables["shape"].loc[0, "verdict"] = "U-shaped"
    assert "vit" in document.start(data_for(tables))


def test_metrics_have_names_and_groups():
    names = ["entropy", "rms_per_bin", "rms", "sample_rank_95", "my_own", "pca_rank_80_p99", "sep_folded_p", "rms_own"]
    assert metrics.in_groups(names) == [
        *("entropy", "rms_per_bin", "rms", "rms_own", "sample_rank_95", "pca_rank_80_p99", "sep_folded_p", "my_own"),
    ]
    assert [metrics.group_of(name) for name in ("rms_per_bin", "rms", "my_own")] == ["Entropy", "Magnitude", "Others"]
    assert [metrics.name_of(name) for name in ("rms", "my_own", "sample_rank_95", "pca_rank_80_p99")] == [
        *("RMS of activations", "My own", "Sample rank at 95 % of the energy"),
        "Pca rank at 80 % of the energy, 99th percentile over images",
    ]


def test_times_of_stages_are_read_in_one_unit_with_two_digits():
    assert [provenance.unit_of(hours)[0] for hours in (3.0, 0.5, 0.001, 0.0)] == ["Hours", "Minutes", *["Seconds"] * 2]
    assert [provenance.short(value) for value in (0.0, 0.00432, 0.24, 2.93, 15.2, 1234.0)] == [
        *("0", "0.0043", "0.24", "2.9", "15", "1,234"),
    ]


def test_the_paper_figures_come_first_each_beside_its_null(whole):
    panel = data_of(whole)["panels"][0]
    assert panel["id"] == "paper"
    assert [chart["title"] for chart in panel["charts"]] == [
        *("Spectrum over channels, by block", "The same with permuted channels", "Entropy over depth"),
        *("Spectral intensity over depth", "Activation magnitude over depth", "Gradient magnitude over depth"),
    ]
    table = data_of(whole)["tables"]["spectra_by_block"]["columns"]
    assert max(table["value"]) == 1 and set(table["kind"]["levels"]) == {"measured", "permuted"}
    assert min(table["from"]) == 0 and max(table["to"]) == 0.5
    assert all(low < high for low, high in zip(table["from"], table["to"], strict=True))


def test_variants_are_described_by_loss_blocks_and_shares(tmp_path):
    tables = tables_of(WHO)
    dose = {"variant": "soft", "seeds": 2, "cosine": 1.0}
    tables["doses"] = pd.DataFrame([
        dose | {"term": "cross_entropy", "pairs": "", "given": "weight 0.1", "epoch": 1, "share": 0.25}
        | {"gradient_share": 0.1},
        dose | {"term": "soft", "pairs": "", "given": "weight 0.9", "epoch": 1, "share": 0.75, "gradient_share": 0.9},
        dose | {"variant": "spectral_last", "term": "spectral", "pairs": "3-7, 2-6", "given": "weight 0.2", "epoch": 2}
        | {"share": 0.5, "gradient_share": np.nan},
    ])  # fmt: skip
    terms = {"cross_entropy": {"weight": 0.1}, "soft": {"weight": 0.9, "temperature": 3.0}}
    aligned = terms | {"spectral": {"weight": 0.2, "pairs": "last", "target": "zero"}}
    made = MADE | {"configuration": {"variants": {"soft": terms, "spectral_last": aligned}}}
    words = Read(written(tmp_path, tables=tables, made=made)).words
    assert "soft cross entropy (weight 0.1) + soft (weight 0.9, temperature 3.0) none" in words
    assert "cross entropy 25, soft 75 cross entropy 10, soft 90" in words
    assert (
        "cross entropy + soft (temperature 3.0) + spectral (weight 0.2) 3 to 7 and 2 to 6 zero spectral 50 -" in words
    )
    assert "SpectralKD: mean squared error between spatial spectra" in words


def test_differences_of_every_two_variants_are_paired_by_seed():
    runs = {"network": ["soft", "soft", "soft", "hard", "hard", "vit"], "seed": [0, 1, 2, 0, 1, None]}
    tables = {"runs": pd.DataFrame(runs | {"test_top1": [70.0, 71.0, 90.0, 72.0, 75.0, 80.0]})}
    found = beside.pairs(data_for(tables)).set_index(["one", "other"])
    assert sorted(found.index) == [("hard", "soft"), ("soft", "hard")]
    one = found.loc[("soft", "hard")]
    # Differences of 2 and 4 points: t of one degree of freedom times their standard error of 1.
    assert (one["value"], one["seeds"]) == (3.0, 2)
    assert one["high"] - one["value"] == pytest.approx(12.706, rel=1e-4)
    assert found.loc[("hard", "soft"), "value"] == -3.0
    single = data_for({"runs": tables["runs"][tables["runs"]["seed"] == 0]})
    assert beside.pairs(single)["low"].isna().all()


def test_figures_without_a_panel_are_shown_at_the_end(tmp_path):
    tables = {name: table for name, table in tables_of(WHO).items() if name != "saliency"}
    said = written(tmp_path, tables=tables, figures=("accuracy", "spectra", "cka"))
    assert "others" not in sections(said)
    tables = {name: table for name, table in tables.items() if name != "spectrum"}
    assert sections(written(tmp_path, tables=tables, figures=("accuracy", "spectra")))[-2:] == ["others", "glossary"]


def test_what_a_figure_shows_is_the_first_sentence_of_its_module():
    for name, figure in extensions.figures(known_tables()).items():
        sentence = import_module(f"distillation_dynamics.figures.{name}").__doc__.split("\n\n")[0]
        assert figure.shows == " ".join(sentence.split()), name


def test_the_stage_loads_no_torch(root):
    program = "import sys; import distillation_dynamics.stages.page; print('torch' in sys.modules)"
    environment = os.environ | {"PYTHONPATH": str(root / "workflow")}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_a_damaged_table_is_named(tmp_path):
    job = write(tmp_path)
    (tmp_path / "depth.parquet").write_bytes(b"PAR1")
    with pytest.raises(StudyError, match=r"depth\.parquet is not readable Parquet"):
        stage.main(job)


def data_for(tables, who=WHO):
    return PageData(who, tables, {})


def test_of_many_those_furthest_from_the_baseline_are_shown_at_the_start():
    tables = tables_of(WHO)
    assert document.start(data_for(tables)) == ["cait", "soft", "none", "spectral_first", "projector_last", "hard"]
    assert document.start(data_for({})) == [
        "cait",
        "soft",
        "none",
        "spectral_first",
        "spectral_last",
        "projector_first",
    ]
    assert document.start(data_for({}, ALONE)) == ["cait", "vit"]


def test_profiles_show_networks_at_every_epoch_and_their_intervals_over_images():
    tables = tables_of(WHO)
    table, metrics = profiles.profiles(data_for(tables))
    assert metrics[:2] == ["entropy_since_first", "entropy"]
    change = table[table["network"] == "cait"].set_index("block")
    assert change["entropy_since_first"].to_numpy() == pytest.approx(change["entropy"] - change["entropy"].loc[0])
    assert not [name for name in metrics if name.endswith(("_se", "_null", "_low", "_p99")) or name == "channels"]
    assert table.loc[table["role"] != "variant", "epoch"].isna().all()
    assert set(table.loc[table["last"], "network"]) == set(table["network"]), "each has a last epoch, its own"
    own = table[(table["network"] == "cait") & (table["block"] == 0)]
    measured = tables["depth"].query("network == 'cait' and block == 0 and probe == 'balanced'")
    assert own["rms_half"].iloc[0] == pytest.approx(1.96 * measured["rms_se"].iloc[0])
    soft = tables["depth"].query("network == 'soft' and block == 1 and epoch == 5")["rms"]
    row = table.query("network == 'soft' and block == 1 and epoch == 5").iloc[0]
    assert row["rms"] == pytest.approx(soft.mean()) and row["last"] and row["owner"] == "soft" and row["seeds"] == 2
    # t of one degree of freedom: 12.7 standard errors.
    assert row["rms_half"] == pytest.approx(12.706 * soft.std() / np.sqrt(2), rel=1e-3)
    assert table.loc[table["network"] == "vit_untrained", "owner"].unique().tolist() == ["vit"]
    assert "intensity_gaussian" in table and table["intensity_gaussian"].notna().any()


def test_spectra_are_thinned_to_what_a_chart_shows():
    wide = pd.DataFrame({"frequency": np.linspace(0, 0.5, 385), "sep_folded": np.linspace(0, 1, 385)})
    keys = {"network": "vit", "seed": None, "epoch": 1, "probe": "balanced", "block": 0, "block_name": "blocks.0"}
    found = spectra.curves(data_for({"spectrum": wide.assign(**keys)}), ["sep_folded"])
    assert len(found) == spectra.MOST and found["frequency"].iloc[[0, -1]].tolist() == [0, 0.5]
    few = spectra.curves(data_for({"spectrum": wide.head(33).assign(**keys)}), ["sep_folded"])
    assert len(few) == 33


def test_numbers_are_short_and_what_is_none_is_null():
    assert [rows.rounded(value) for value in (1.23456, 123456.0, 2.0, np.nan, np.inf, 1e-9)] == [
        *(1.235, 123500, 2, None, None, 1e-9),
    ]
    table = pd.DataFrame({"a": [1.0, np.nan], "b": ["x", None], "c": [True, False], "d": [1, 2]})
    assert rows.packed(table)["columns"] == {
        "a": [1, None], "b": {"levels": ["x"], "codes": [0, -1]}, "c": [True, False], "d": [1, 2],
    }  # fmt: skip


def test_markdown_of_the_report_becomes_html():
    links = "[a paper](https://example.org/a) and [a file](b.md#c)"
    assert html.inline(links) == '<a href="https://example.org/a">a paper</a> and a file'
    assert "<a" not in html.inline("[x](javascript:alert(1)) [y](https://a b)")
    paragraphs = ["**A < B** and | c |\nmore `d.py`", "- one\n- **two**", "| a | b [%] |\n|---|---|\n| x & y | 1 |"]
    assert list(html.blocks([*paragraphs, "", "  "])) == [
        ("text", "<strong>A &lt; B</strong> and | c | more <code>d.py</code>"),
        ("list", ["one", "<strong>two</strong>"]),
        ("table", [["a", "b [%]"], ["x &amp; y", "1"]]),
    ]
    said = html.environment().get_template("parts.html.j2").module.markdown(paragraphs, "T")
    assert "<p><strong>A &lt; B</strong> and" in said and "<li><strong>two</strong></li></ul>" in said
    assert '<th scope="row">x &amp; y</th><td>1</td>' in said and "<caption>T</caption>" in said


def test_stages_stand_behind_what_they_read():
    places = provenance.layers(EDGES)
    assert all(places[before] < places[after] for before, after in EDGES)
    assert provenance.places(()) == {}


def test_colours_of_a_dark_page_are_light_enough():
    assert looks.lightened("#000000") == "#9e9e9e" and looks.lightened("#ffff99") == "#ffff99"


def test_lines_are_strokes_and_gaps():
    known = looks.looks(Style("colorblind", 60, WHO))
    dashes = dict(zip(known["names"], known["dashes"], strict=True))
    assert dashes["cait"] == [1, 0] and dashes["cait_untrained"] == [3, 1.5]
