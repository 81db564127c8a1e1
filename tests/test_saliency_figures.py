"""The figure of saliency, of made-up tables."""

import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image

from distillation_dynamics.drawing.overlays import (
    BLACK,
    COLOR,
    OPAQUE,
    UNTRAINED,
    class_said,
    networks_of,
    share_of_largest,
)
from distillation_dynamics.drawing.style import Style
from distillation_dynamics.figures import saliency
from distillation_dynamics.metrics.saliency import METHODS
from distillation_dynamics.stages import figures as drawing
from frames import frame
from made_up import figure_job, names

VARIANTS = "soft", "spectral_first_last_sum", "projector_first_last_frozen"
STYLE = Style("colorblind", 60, names(("teacher",), VARIANTS))
SHOWN = ["teacher", "teacher_untrained", *VARIANTS]


@pytest.fixture(scope="module")
def tables():
    """Tables of a made-up study: two epochs, two seeds of each student, three images."""
    generator, rows = np.random.default_rng(0), []
    for network in SHOWN:
        for seed in (None,) if network.startswith("teacher") else (1, 0):
            for epoch, image in np.ndindex(2, 3):
                key = {"network": network, "seed": seed, "epoch": epoch, "image": 7 * image, "label": image}
                for method in ("image", *METHODS):
                    values = generator.uniform(0, 1, 64).astype(np.float32)
                    rows.append({**key, "method": method, "rows": 8, "columns": 8, "map": values})
    # In print networks come before students, wherever they are in the table.
    return {"saliency": frame(rows).iloc[::-1]}


def figure_of(tables, style=STYLE):
    style.apply()
    return saliency.draw(tables, style)


def texts(figure):
    return [text.get_text().replace("\n", " ") for text in figure.axes[0].texts]


def test_no_text_runs_out_of_the_page(tables):
    figure = figure_of(tables)
    FigureCanvasAgg(figure).draw()
    box, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
    assert box.x0 > -0.02 and box.y0 > -0.02 and box.x1 < width + 0.02 and box.y1 < height + 0.02


def test_four_networks_are_shown_of_two_images(tables):
    figure = figure_of(tables)
    rows = [text for text in texts(figure) if text.replace(" ", "_") in SHOWN or "student" in text]
    assert rows == ["teacher", "teacher untrained", "untrained student", "soft"]
    assert "(4 of 6 networks, 2 images)" in figure.get_suptitle()
    shown = {image.get_gid() for image in figure.axes[0].images if image.get_gid()}
    assert len(shown) == 4 * 2 * 3 and {gid.split("/")[1] for gid in shown} == {"0", "14"}


def test_of_many_networks_the_reference_its_control_and_the_baseline_come_first(tables):
    many = names(("a", "b", "teacher"), VARIANTS, teacher="teacher")
    table = pd.DataFrame({"network": ["a", "a_untrained", "b", "teacher", "teacher_untrained", UNTRAINED, *VARIANTS]})
    style = Style("colorblind", 60, many)
    assert networks_of(table, 9, style)[1] == ""
    shown, said = networks_of(table, 4, style)
    assert shown == ["teacher", "teacher_untrained", UNTRAINED, "soft"] and said == "4 of 9 networks, "
    assert networks_of(table, 7, style)[0] == ["a", "b", "teacher", "teacher_untrained", UNTRAINED, *VARIANTS[:2]]


def test_classes_are_named_where_they_have_names(tables):
    assert {"class 0", "class 2"} < set(texts(figure_of(tables)))
    named = replace(STYLE, classes=("shirt", "boot", "bag"))
    assert {"shirt", "bag"} < set(texts(figure_of(tables, named)))
    assert class_said(3, named.classes) == "class 3" and class_said(2, ()) == "class 2"
    assert class_said(pd.NA, named.classes) == class_said(np.nan, named.classes) == "no label"


def test_the_saliency_figure_shows_the_last_epoch_of_the_lowest_seed_as_a_share_of_its_99th_percentile(tables):
    figure = figure_of(tables)
    (shown,) = [image for image in figure.axes[0].images if image.get_gid() == "soft/0/gradient"]
    table = tables["saliency"].query("network == 'soft' and seed == 0 and epoch == 1 and image == 0")
    values = table[table["method"] == "gradient"]["map"].iloc[0].reshape(8, 8).astype(float)
    pixels = table[table["method"] == "image"]["map"].iloc[0].reshape(8, 8)
    opaque = (OPAQUE * np.clip(values / np.percentile(values, 99), 0, 1))[..., None]
    grey = (BLACK + (1 - BLACK) * pixels)[..., None]
    np.testing.assert_allclose(shown.get_array(), (1 - opaque) * grey + opaque * np.array(COLOR), atol=1e-6)


def test_a_map_without_range_is_drawn_as_nothing_or_everything():
    np.testing.assert_array_equal(share_of_largest(np.zeros((2, 2))), 0)
    np.testing.assert_array_equal(share_of_largest(np.full((2, 2), 3.0)), 1)
    lonely = np.zeros((20, 20))
    lonely[3, 4] = 5
    lonely[5, 6] = 2
    np.testing.assert_array_equal(share_of_largest(lonely), lonely / 5)


def test_maps_that_are_all_zero_are_drawn_without_a_warning_and_said_to_be(tables, tmp_path):
    rows = tables["saliency"].query("image == 0").copy()
    kept = rows["method"].eq("image")
    rows["map"] = [values if own else 0 * values for values, own in zip(rows["map"], kept, strict=True)]
    path, file = tmp_path / "saliency.parquet", tmp_path / "drawn.png"
    rows.to_parquet(path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        drawing.main(figure_job("saliency", [str(path)], STYLE, [str(file)]))
        figure = figure_of({"saliency": rows})
    assert sum(text.get_text() == "0" and bool(text.get_gid()) for text in figure.axes[0].texts) == 4 * 3
    with Image.open(file) as picture:
        assert len(np.unique(np.asarray(picture.convert("L")))) > 10
