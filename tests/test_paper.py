"""What of a study goes into a paper: numbers by name, captions, methods, sources, the document."""

import re
import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from conftest import ROOT
from distillation_dynamics import extensions
from distillation_dynamics.files import Column
from distillation_dynamics.jobs.gathered import SOURCES, known_tables
from distillation_dynamics.paper import captions, document, figures, latex, methods, numbers, tables
from distillation_dynamics.paper.sources import Sources
from distillation_dynamics.spec.tables import Names
from distillation_dynamics.stages import statistics
from distillation_dynamics.statistics.westfall_young import LEAST_DRAWN
from frames import frame
from helpers import changed, load, smoke_config
from made_up import arms
from test_report_head import STUDY, runs

WHO = Names(("cait",), {"cait": "cait_untrained"}, "cait", arms("soft", "last2"), {"student": "soft"})
ALONE = Names(("vit",), {"vit": "vit_untrained"}, None, {}, {})
SAID = {name: f"<{name}>" for name in extensions.CAPTION_NAMES}
NETWORKS = STUDY["configuration"]["networks"]
QUESTIONS = extensions.questions()
PAPER_TABLES = {table for question in QUESTIONS.values() for table in question.paper or ()}
# Tables of single seeds, epochs, blocks or checkpoints, whose numbers the report does not state, or in words alone.
NOT_STATED = {
    *("minimum", "published_trajectory", "claims", "differences", "mcnemar", "trajectory", "doses"),
    *("published_entropy", "alignment", "references"),
}
BIBTEX = SOURCES.read_text(encoding="utf-8")


def empty(**given):
    """The tables of the statistics without a row, but those that are given."""
    return {name: pd.DataFrame(columns=list(columns)) for name, columns in statistics.documentation().items()} | given


@pytest.mark.parametrize(
    ("value", "unit", "column", "expected"),
    [
        (-2.4367, "points", "low", r"\ensuremath{-2.44}"),
        (77.112, "%", "test_top1", "77.11"),
        (0.03125, "", "p_joint", "0.031"),
        (LEAST_DRAWN, "", "early_p", r"\ensuremath{\leq 1.9\times10^{-6}}"),
        (4.03e-13, "", "p", r"\ensuremath{4\times10^{-13}}"),
        (10000, "images", "images", "10,000"),
        (1000.0, "", "cka_rows", "1,000"),
        (6.0, "", "joint_seeds", "6"),
        (0.72796, "", "cka", "0.728"),
        (-1.5e-7, "", "valley", r"\ensuremath{-1.5\times10^{-7}}"),
    ],
)
def test_a_number_is_shown_as_a_text_needs_it(value, unit, column, expected):
    assert numbers.shown(value, unit, column) == expected


def test_every_number_of_a_table_has_one_name_and_what_has_no_value_none():
    table = pd.DataFrame(
        {
            "variant": ["last2", "last2", "first"], "objective": "spectral", "pairs": ["0-0", "0-0", "1-1"],
            "low": [1.0, 2.0, np.nan], "alone": True, "seeds": [3, 3, 3],
        }
    )  # fmt: skip
    columns = dict.fromkeys(table, Column("points", "what it is"))
    known = statistics.documentation() | {"effects": columns, "summary": {}}
    given = {"effects": table, "shape": shapes(), "summary": pd.DataFrame()}
    given["nearest"] = pd.DataFrame({"student_block": [0], "cka": [0.5]})
    said = numbers.document(empty(**given), known, WHO)
    found = re.findall(r"^\\definenumber\{([^}]+)\}\{(.*?)\} % (.*)$", said, re.M)
    by_name = {name: (value, text) for name, value, text in found}
    assert len(by_name) == len(found) == said.count("\n\\definenumber")
    assert by_name["effects/last2/spectral/0-0/low"] == ("1.00", "1.0 points")
    assert by_name["effects/last2/spectral/0-0/2/low"][0] == "2.00", "of like rows their place counts"
    assert "effects/first/spectral/1-1/low" not in by_name and "alone" not in str(list(by_name))
    assert [name for name in by_name if name.startswith("nearest")] == ["nearest/0/cka"], "keys are no numbers"
    assert "% low [points]: what it is" in said
    assert by_name["u_shaped/entropy/networks/u_shaped"][0] == "1"
    assert by_name["u_shaped/entropy/students/measured"][0] == "2"
    assert by_name["u_shaped/entropy/students/undecided"][0] == "1"
    assert by_name["shape/cait/entropy/fall"][0] == "0.50"
    assert "shape/soft/entropy/fall" not in by_name, "the report goes through no single student"


def shapes():
    return frame(
        {
            "network": ["cait", "soft", "soft"], "seed": [None, 0, 1], "probe": "balanced", "metric": "entropy",
            "fall": 0.5, "verdict": ["U-shaped", "undecided", "not U-shaped"],
        }
    )  # fmt: skip


def test_every_table_of_statistics_has_names_or_is_known_to_be_stated_by_no_report():
    stated = {name: one for part in tables.parts() for name, one in getattr(part, "NUMBERS", {}).items()}
    known = statistics.documentation()
    assert {*stated} - {"summary", "u_shaped"} | NOT_STATED == {*known}
    for name, one in stated.items():
        assert name == "summary" or set(one.keys) <= set(one.columns or known[name]), name


def test_text_is_escaped_and_signs_are_minus_signs():
    assert latex.words("a_b & 50 % of $x {#} ~ ^ \\") == (
        r"a\_b \& 50 \% of \$x \{\#\} \textasciitilde{} \textasciicircum{} \textbackslash{}"
    )
    assert latex.words("-0.42 [-1.09, +0.25], 4-7, p 3e-14") == (
        r"\(-\)0.42 [\(-\)1.09, +0.25], 4-7, p \(3\times10^{-14}\)"
    )
    assert latex.words("p <= 1.9e-06") == r"p \(\leq\) \(1.9\times10^{-6}\)"
    assert latex.words("über 中") == "über [U+4E2D]"
    assert latex.comment("two\nlines") == "% two lines"


def test_captions_say_what_a_study_has():
    depth = pd.DataFrame({"probe": ["balanced", "published"], "images": [320, 32]})
    said = captions.named({"runs": runs(cait=83.0, soft=[1.0, 2.0], last2=[1.0, 2.0]), "depth": depth}, WHO)
    assert said == {
        "students": "2 variants, 2 seeds", "seeds": "2 seeds", "images": "320 images",
        "test_images": "10,000 test images", "teacher": "cait", "baseline": "soft",
    }  # fmt: skip
    said = captions.named({"runs": runs(vit=1.0).assign(test_images=0)}, ALONE)
    assert (
        said["students"] == "none"
        and said["images"] == "an unrecorded number of images"
        and said["teacher"] == "(none)"
    )
    assert said["test_images"] == "an unrecorded number of test images"
    more = pd.DataFrame({"probe": "balanced", "images": [320, 100]})
    assert captions.named({"runs": runs(vit=1.0), "depth": more}, ALONE)["images"] == "100 and 320 images"


@pytest.mark.parametrize("name", extensions.figures(known_tables()))
def test_every_figure_has_a_caption_that_says_its_interval_and_what_it_is_held_against(name):
    caption = captions.filled(extensions.figures(known_tables())[name].caption, SAID)
    assert re.search("interval|band", caption), caption
    assert re.search("[Cc]ontrol|Reference|dose|other trainings", caption), caption


@pytest.mark.parametrize(("inches", "kind"), [(3.3, "figure"), (6.75, "figure*")])
def test_a_figure_stands_in_a_column_where_it_was_drawn_so(tmp_path, inches, kind):
    Figure(figsize=(inches, 2)).savefig(tmp_path / "a.pdf")
    pdf = (tmp_path / "a.pdf").read_bytes()
    assert figures.width_of(pdf) == pytest.approx(72 * inches, abs=0.5)
    said = figures.figure("a_b", pdf, "At 5 %")
    assert said.startswith(rf"\begin{{{kind}}}") and r"{figures/a_b.pdf}" in said and r"\caption{At 5 \%}" in said
    assert figures.width_of(b"%PDF without a box") is None


def test_tables_of_a_study_without_any_rows_are_comments():
    found = tables.texts(empty(runs=runs(vit=1.0).iloc[:0]), ALONE, SAID)
    assert list(found)[:5] == ["accuracy", "variants", "planned", "controls", "dose_and_place"]
    assert {*found} == PAPER_TABLES and all(text.startswith("% ") for text in found.values())


def test_a_table_has_the_reports_cells_under_its_own_heads():
    found = tables.texts(empty(runs=runs(cait=83.0, soft=[77.0, 78.0], last2=[1.0, 2.0])), WHO, SAID)
    text = found["accuracy"]
    assert r"soft & baseline & 2 & 77.50 [71.15, 83.85] & 0.42 & 90.0 \\" in text
    assert r"\caption{Test top-1 of the last epoch (\textless{}test\_images\textgreater{})" in text
    assert text.index(r"\caption") < text.index(r"\toprule") and r"\label{tab:accuracy}" in text


def test_sources_are_those_of_the_parts_that_are_asked_for():
    sources = Sources(BIBTEX)
    assert sources.cite("objective soft") == r"~\cite{hinton2015distilling}"
    assert sources.cite("model cait_xxs24_224") == r"~\cite{touvron2021cait}"
    assert sources.cite("objective mine") == ""
    assert "xiao2017" not in sources.bibliography() and "usedby" not in sources.bibliography()
    assert re.findall(r"^@\w+\{(\w+),", sources.bibliography(), re.M) == ["hinton2015distilling", "touvron2021cait"]


def test_every_source_says_what_it_is_of_and_this_is_there():
    sources = Sources(BIBTEX)
    assert len(sources.entries) == BIBTEX.count("\n@") and all(sources.used_by.values())
    known = {f"metric {name}" for name in (*extensions.metrics(), *extensions.pair_metrics())}
    known |= {f"objective {name}" for name in extensions.objectives()}
    for part in {part for parts in sources.used_by.values() for part in parts}:
        assert part in known or not part.startswith(("metric ", "objective ")), part


def recorded(config):
    """What study.json holds of a configuration, as far as methods read it."""
    return {"configuration": load(config).configuration, "image_counts": {"main": {"train": 60000, "test": 10000}}}


def test_methods_are_those_of_the_configuration():
    config = changed(
        smoke_config(), "variants.share", {"cross_entropy": {"weight": 1}, "soft": {"weight": {"share": 0.5}}}
    )
    config = changed(config, "seeds", [0, 1])
    config = changed(config, "measure.first_seed_only", ["rank"])
    study = recorded(config)
    who = Names(("cait", "resnet"), {}, "cait", arms(*study["configuration"]["variants"]), {"student": "none"})
    read = empty(runs=runs(cait=83.0, none=[1.0, 2.0], share=[1.0, 2.0]))
    text = methods.document(study, read, who, captions.named(read, who), Sources(BIBTEX))
    for said in (
        r"train: 60,000 images of \texttt{test-00000-of-00001.parquet}".capitalize(),
        r"cait: cait\_xxs24\_224 (patch\_size 7,", r"~\cite{touvron2021cait}, trained here, 2 epochs of 640 images",
        r"float32, seed 0; its control: untrained.", "Their teacher is cait.", "Seeds: 0, 1,",
        "none is 1 cross\\_entropy", r"share is that of none + 50 \% of the loss as soft",
        "A weight that is given as a share of the loss is set over the first 100 updates",
        "20 images a class were held out",
        "(pairs first and last, ", r"Of students of the first seed alone: rank.",
    ):  # fmt: skip
        assert said in text, said
    assert str(ROOT) not in text and "Statistics" not in text, "no test was made, and a folder says nothing to a reader"


def test_methods_of_networks_alone_name_their_weights_and_no_students():
    study = {
        "configuration": STUDY["configuration"] | {"measure": {"metrics": ["entropy"]}, "seeds": [0]},
        "image_counts": {},
    }
    study["configuration"]["networks"] = {"dino": NETWORKS["dino"] | {"control": "permuted"}}
    read = empty(runs=runs(dino=1.0))
    text = methods.document(study, read, ALONE, captions.named(read, ALONE), Sources(BIBTEX))
    assert "weights hf-hub:timm/x@main; its control: permuted" in text and "Students" not in text
    assert "Of students" not in text and "number is not recorded" in text


def test_an_architecture_is_named_and_cited():
    model = NETWORKS["dino"]["model"] | {"architecture": {"lift": {"width": 48}}}
    networks = {"dino": NETWORKS["dino"] | {"model": model}}
    study = {
        "configuration": STUDY["configuration"] | {"measure": {"metrics": []}, "seeds": [0], "networks": networks},
        "image_counts": {},
    }
    read, sources = empty(runs=runs(dino=1.0)), Sources(BIBTEX)
    text = methods.document(study, read, ALONE, captions.named(read, ALONE), sources)
    assert "with lift (width 48)~" in text and "2511.15572" in sources.bibliography()


def test_methods_describe_the_tests_that_a_study_makes():
    variants = pd.DataFrame({"joint_seeds": [6, 6]})
    shape = pd.DataFrame({"p": [0.5], "metric": ["rms"]})
    read = empty(runs=runs(soft=[1.0]), variants=variants, shape=shape, mcnemar=pd.DataFrame({"p": [1.0]}))
    sources = Sources(BIBTEX)
    text = methods.document(None, read, WHO, SAID, sources)
    assert "study.json is missing" in text and "level 0.05" in text and "U-shaped where" in text and "McNemar" in text
    assert {"westfall1993resampling", "mcnemar1947note", "benjamini1995controlling"} == sources.cited
    assert "not resolved" not in text, "nothing with bins is tested"
    binned = methods.document(None, read | {"shape": shape.assign(metric="entropy")}, WHO, SAID, Sources(BIBTEX))
    assert "called not resolved where in some block tokens spread over fewer than 2 of them" in binned
    few = methods.document(None, read | {"variants": variants.assign(joint_seeds=5)}, WHO, SAID, Sources(BIBTEX))
    assert "No test is made of them: it needs 6 seeds." in few and "sign a seed" not in few


def test_the_stage_writes_what_its_task_names_and_the_document_takes_all_of_it(project):
    paper = project / "results/smoke/paper"
    main = (paper / "main.tex").read_text()
    taken = re.findall(r"\\input\{([^}]+)\}", main)
    assert all((paper / f"{name}.tex").is_file() for name in taken) and r"\bibliography{references}" in main
    assert {"numbers", "methods", *(f"tables/{name}" for name in PAPER_TABLES)} <= {*taken}
    drawn = {path.stem for path in (project / "results/smoke/figures").glob("*.pdf")}
    assert {path.stem for path in (paper / "figures").glob("*.tex")} == drawn
    for name in drawn:
        theirs = (project / f"results/smoke/figures/{name}.pdf").read_bytes()
        assert (paper / f"figures/{name}.pdf").read_bytes() == theirs
    summary = pd.read_parquet(project / "results/smoke/summary/summary.parquet").set_index("network")
    said = (paper / "numbers.tex").read_text()
    assert rf"\definenumber{{summary/hard/test_top1}}{{{summary.loc['hard', 'test_top1']:.2f}}}" in said
    names = re.findall(r"^\\definenumber\{([^}]*)\}", said, re.M)
    assert len({*names}) == len(names) > 100 and all(re.fullmatch(r"[\w.,+/ -]+", name) for name in names)
    cited = set(re.findall(r"\w+", " ".join(re.findall(r"\\cite\{([^}]+)\}", (paper / "methods.tex").read_text()))))
    assert cited == set(re.findall(r"^@\w+\{(\w+),", (paper / "references.bib").read_text(), re.M))


def compiled(folder, command="pdflatex"):
    """Run a program on `main` in a folder; return what it says, and whether it found no fault."""
    options = ["-halt-on-error", "-interaction=nonstopmode"] if command == "pdflatex" else []
    done = subprocess.run([command, *options, "main"], cwd=folder, capture_output=True, text=True, check=False)
    return done.stdout[-3000:], done.returncode == 0


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no LaTeX is installed (pdflatex)")
def test_the_document_compiles(project, tmp_path):
    paper = shutil.copytree(project / "results/smoke/paper", tmp_path / "paper")
    for command in filter(shutil.which, ("pdflatex", "bibtex", "pdflatex", "pdflatex")):
        said, well = compiled(paper, command)
        assert well, said
    log = (paper / "main.log").read_text(errors="replace")
    assert (paper / "main.pdf").is_file() and "multiply defined" not in log and "undefined references" not in log


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no LaTeX is installed (pdflatex)")
def test_a_text_that_uses_a_number_which_a_study_does_not_have_does_not_compile(tmp_path):
    read = empty(variants=pd.DataFrame({"variant": ["last_2"], "low": [-1.5]}), summary=pd.DataFrame())
    known = statistics.documentation() | {"summary": {}}
    (tmp_path / "numbers.tex").write_text(numbers.document(read, known, WHO))
    text = r"\documentclass{article}\input{numbers}\begin{document}\section{Of \studynumber{%s}}\end{document}"
    (tmp_path / "main.tex").write_text(text % "variants/last_2/low")
    said, well = compiled(tmp_path)
    assert well, said
    (tmp_path / "main.tex").write_text(text % "variants/last_2/lowest")
    said, well = compiled(tmp_path)
    assert not well and "this study has no number variants/last_2/lowest" in said


def test_figures_stand_in_the_order_of_the_questions_with_no_page_of_their_own():
    text = document.document("a", (), ("tokens", "accuracy", "shape"), False)
    assert re.findall(r"figures/(\w+)", text) == ["shape", "accuracy", "tokens"]
    assert text.count(r"\clearpage") == 2 and r"\extrafloats{200}" in text


def test_a_document_without_figures_or_sources_has_neither_section():
    text = document.document("a_b", ("accuracy",), (), False)
    assert r"\title{a\_b}" in text and "Figures" not in text and "bibliography" not in text
