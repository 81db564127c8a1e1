"""Every figure reads at the width it is printed at: no text under 6 points, outside the page or over another."""

import re
from importlib import import_module

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from conftest import ROOT
from distillation_dynamics import extensions
from distillation_dynamics.drawing.style import PAGE, NoValue, Style
from distillation_dynamics.jobs.gathered import known_tables
from made_up import FAMILIES, RESNET, SWIN, names, network, study
from made_up_statistics import statistics
from readable import faults

FIGURES = extensions.figures(known_tables())
TRAINED = {
    "cait": network([64] * 8, [4] * 8),
    "vit": network([64] * 8, [4] * 8, class_token=True),
    "resnet": network([16, 32, 48, 64], [8, 4, 2, 1], "layer{}", False),
    "student_teacher_images": network([48] * 5, [4] * 5, class_token=True),
}
MANY = (
    *("none", "soft", "projector_first", "projector_first_last", "projector_last", "spectral_first"),
    *("spectral_first_high", "spectral_first_last", "spectral_last", "spectral_last2", "spectral_last_low"),
    "spectral_last_w01",
)
STUDENT = network([48] * 5, [4] * 5, class_token=True)
TWO_BLOCKS = network([8] * 2, [2] * 2)
OF_IMAGES = ("saliency",)
LONG = "a_variant_with_a_name_of_forty_letters_or_so"


def made(who, networks=None, student=STUDENT, seeds=(0,), probes=False, **options):
    """All tables of a study; with `probes` its networks are measured on a second image set, too."""
    tables = study(who, networks, student, seeds, **options)
    if probes:
        other = tables["depth"][tables["depth"]["probe"] == "balanced"].assign(probe="noise", images=40)
        tables["depth"] = pd.concat([tables["depth"], other], ignore_index=True)
    tables["depth"] = tables["depth"].assign(covariance_rank=tables["depth"]["pca_rank_95"])
    return who, tables | statistics(who, tables, seeds)


def unmeasured(who, tables):
    """The same study without a value of most metrics in some networks, and of some in all."""
    depth = tables["depth"].copy()
    depth.loc[depth["network"] == who.ordered[0], "intensity":"entropy_standardised"] = np.nan
    depth.loc[depth["seed"] > 0, "effective_rank"] = np.nan
    depth["attention_distance"] = np.nan
    return who, tables | {"depth": depth}


STUDIES = {
    "default": lambda: made(names(TRAINED, MANY, teacher="cait"), TRAINED, seeds=range(6), probes=True),
    "stages, one seed": lambda: made(names(variants=("none", "soft")), {"teacher": SWIN}, RESNET),
    "networks of 24, 12 and 4 blocks alone": lambda: made(names(FAMILIES, teacher=None), FAMILIES, probes=True),
    "two blocks": lambda: made(
        names(variants=("soft", "spectral_a")), {"teacher": TWO_BLOCKS}, TWO_BLOCKS, (0, 1), epochs=(0, 1)
    ),
    "long names, missing values": lambda: unmeasured(
        *made(names(("teacher", LONG), ("soft", f"{LONG}_b", f"{LONG}_c"), teacher="teacher"), seeds=(0, 1))
    ),
}


@pytest.fixture(scope="module", params=STUDIES)
def made_up(request):
    """Who is in a made-up study, and its tables."""
    return STUDIES[request.param]()


def asked(name, who, tables):
    """Whether a study has all that a figure asks for."""
    there = {"students": bool(who.variants), "teacher": who.teacher is not None, "variants": len(who.variants) > 1}
    there |= {
        "networks": len(who.networks) > 1,
        "labels": True,
        "classes": True,
        "probes": tables["depth"]["probe"].nunique() > 2,
    }
    return all(map(there.get, FIGURES[name].requires))


def drawn(name, who, tables):
    """A figure of a study."""
    style = Style("colorblind", 60, who, ("T - shirt / top", "Trouser", "Ankle boot"))
    style.apply()
    return import_module(f"distillation_dynamics.figures.{name}").draw(tables, style)


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_reads_at_print_width(name, made_up):
    who, tables = made_up
    if not asked(name, who, tables):
        return
    try:
        figure = drawn(name, who, tables)
    except NoValue:
        return
    assert figure.get_size_inches()[0] == PAGE
    assert faults(figure) == []
    labels = [axes.get_xlabel() + axes.get_ylabel() for axes in figure.axes]
    assert name in OF_IMAGES or any(labels) or (figure.get_supxlabel() and figure.get_supylabel())
    assert "\n" not in figure.get_suptitle() or any(len(one) > 30 for one in who.variants)


def test_the_figure_that_the_documents_show_is_drawn_as_they_say():
    text = (ROOT / "docs/analysis.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    mine: dict = {"__package__": "distillation_dynamics.figures", "__name__": "distillation_dynamics.figures.mine"}
    exec(compile(code, "mine.py", "exec"), mine)
    who, tables = made(names(variants=("none", "soft")), seeds=(0, 1))
    lens = dict.fromkeys(("lens_top1", "lens_agreement"), tables["depth"]["token_cosine"])
    figure = mine["draw"]({"depth": tables["depth"].assign(**lens)}, Style("colorblind", 60, who))
    assert figure.get_suptitle() == "Logit lens over depth, last epoch (n = 320 images, 2 seeds)"
    assert len(figure.axes) == 4 and faults(figure) == []
    # The helpers of the table are there.
    rooms = ("profiles", "layout", "style")
    modules = {name: import_module(f"distillation_dynamics.drawing.{name}") for name in rooms}
    named = re.findall(rf"^\| `({'|'.join(rooms)})\.(\w+)", text, re.MULTILINE)
    assert len(named) >= 7 and all(hasattr(modules[room], name) or room == "style" for room, name in named)


def test_the_list_of_figures_has_the_question_of_each():
    text = (ROOT / "docs/figures.md").read_text().partition("## What each answers")[2]
    listed = dict(re.findall(r"^\| `(\w+)` \| ([^?]+\?)", text, re.MULTILINE))
    assert listed == {name: figure.shows.partition("?")[0] + "?" for name, figure in FIGURES.items()}


def test_what_does_not_read_is_found():
    figure = Figure(figsize=(2, 1))
    figure.text(0.5, 0.5, "one", fontsize=8)
    assert faults(figure) == []
    figure.text(0.52, 0.5, "two", fontsize=8)
    figure.text(0.1, 0.1, "small", fontsize=5)
    figure.text(0.9, 0.9, "outside of the page", fontsize=8)
    assert [fault.split(":")[0].strip("'") for fault in faults(figure)] == [
        "small",
        "outside of the page",
        "one' over 'two",
    ]
    axes = figure.add_axes((0.1, 0.3, 0.8, 0.1))
    axes.set_xticks(np.linspace(0, 1, 20))
    assert any("over" in fault and "0.0" in fault for fault in faults(figure))
