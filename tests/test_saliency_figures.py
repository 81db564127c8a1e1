"""The figures of saliency and gradient maps, of made-up tables."""

import warnings
from dataclasses import replace
from importlib import import_module

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
from distillation_dynamics.figures.gradient_maps import columns_of
from distillation_dynamics.metrics.saliency import METHODS
from distillation_dynamics.stages import figures as drawing
from frames import frame
from made_up import figure_job, names

VARIANTS = "soft", "spectral_first_last_sum", "projector_first_last_frozen"
STYLE = Style("colorblind", 60, names(("teacher",), VARIANTS))
BLOCKS = {
    "teacher": 6,
    "teacher_untrained": 6,
    **dict.fromkeys(VARIANTS, 3),
}


@pytest.fixture(scope="module")
def tables():
    """Tables of a made-up study: two epochs, two seeds of each student, three images, maps of different sizes."""
    generator = np.random.default_rng(0)
    rows = {"saliency": [], "gradient_maps": []}
    for network, blocks in BLOCKS.items():
        for seed in (None,) if network.startswith("teacher") else (1, 0):
            for epoch, image in np.ndindex(2, 3):
                key = {"network": network, "seed": seed, "epoch": epoch, "image": 7 * image, "label": image}
                for method in ("image", *METHODS):
                    values = generator.uniform(0, 1, 64).astype(np.float32)
                    rows["saliency"].append({**key, "method": method, "rows": 8, "columns": 8, "map": values})
                for block in range(blocks):
                    values = generator.uniform(0, 1, 4).astype(np.float32) * (block < 5)
                    name = {"block": block, "block_name": f"blocks.{block}"}
                    rows["gradient_maps"].append({**key, **name, "rows": 2, "columns": 2, "map": values})
    # In print networks come before students, wherever they are in the table.
    return {name: frame(values).iloc[::-1] for name, values in rows.items()}


def figure_of(name, tables):
    STYLE.apply()
    return import_module(f"distillation_dynamics.figures.{name}").draw(tables, STYLE)


@pytest.mark.parametrize("name", ["saliency", "gradient_maps"])
def test_no_text_runs_out_of_the_page(name, tables):
    figure = figure_of(name, tables)
    FigureCanvasAgg(figure).draw()
    box, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
    assert box.x0 > -0.02 and box.y0 > -0.02 and box.x1 < width + 0.02 and box.y1 < height + 0.02


def texts(figure):
    return [text.get_text().replace("\n", " ") for text in figure.axes[0].texts]


@pytest.mark.parametrize("name", ["saliency", "gradient_maps"])
def test_figures_show_every_network_and_the_untrained_student_before_the_students(name, tables):
    rows = [text for text in texts(figure_of(name, tables)) if text.replace(" ", "_") in BLOCKS or "student" in text]
    assert rows == ["teacher", "teacher untrained", "untrained student", *(v.replace("_", " ") for v in VARIANTS)]


def test_of_many_networks_controls_are_left_out_before_networks_and_these_before_students(tables):
    many = names(("a", "b", "teacher"), VARIANTS, teacher="teacher")
    table = pd.DataFrame({"network": ["teacher", "teacher_untrained", "a", "a_untrained", "b", UNTRAINED, *VARIANTS]})
    style = Style("colorblind", 60, many)
    assert networks_of(table, 9, style)[1] == ""
    shown, said = networks_of(table, 7, style)
    assert shown == ["teacher", "teacher_untrained", "a", UNTRAINED, *VARIANTS] and said == "7 of 9 networks, "
    assert networks_of(table, 8, style)[0] == ["teacher", "teacher_untrained", "a", "b", UNTRAINED, *VARIANTS]


def test_classes_are_named_where_they_have_names(tables):
    assert {"class 0", "class 2"} < set(texts(figure_of("saliency", tables)))
    named = replace(STYLE, classes=("shirt", "boot", "bag"))
    for name in ("saliency", "gradient_maps"):
        figure = import_module(f"distillation_dynamics.figures.{name}").draw(tables, named)
        assert {"shirt", "boot", "bag"} < set(texts(figure))
    assert class_said(3, named.classes) == "class 3" and class_said(2, ()) == "class 2"
    assert class_said(pd.NA, named.classes) == class_said(np.nan, named.classes) == "no label"


def test_the_saliency_figure_shows_the_last_epoch_of_the_lowest_seed_as_a_share_of_its_99th_percentile(tables):
    figure = figure_of("saliency", tables)
    (shown,) = [image for image in figure.axes[0].images if image.get_gid() == "soft/0/gradient"]
    table = tables["saliency"].query("network == 'soft' and seed == 0 and epoch == 1 and image == 0")
    values = table[table["method"] == "gradient"]["map"].iloc[0].reshape(8, 8).astype(float)
    pixels = table[table["method"] == "image"]["map"].iloc[0].reshape(8, 8)
    opaque = (OPAQUE * np.clip(values / np.percentile(values, 99), 0, 1))[..., None]
    grey = (BLACK + (1 - BLACK) * pixels)[..., None]
    np.testing.assert_allclose(shown.get_array(), (1 - opaque) * grey + opaque * np.array(COLOR), atol=1e-6)


def test_gradient_maps_stand_at_their_relative_depth_and_say_where_they_are_zero(tables):
    figure = figure_of("gradient_maps", tables)
    left = {image.get_gid(): round(image.get_extent()[0], 6) for image in figure.axes[0].images if image.get_gid()}
    assert left["teacher/0/0"] == left["soft/0/0"] < left["teacher/0/5"] == left["soft/0/2"] < left["soft/7/0"]
    assert {int(gid.split("/")[2]) for gid in left if gid.startswith("teacher/0")} == {0, 2, 3, 5}
    zeros = {text.get_gid() for text in figure.axes[0].texts if text.get_text() == "0" and text.get_gid()}
    assert zeros == {f"{name}/{image}/5" for name in ("teacher", "teacher_untrained") for image in (0, 7, 14)}
    assert texts(figure).count("0, 2, 3, 5") == 2 and texts(figure).count("0, 1, 2") == 4


@pytest.mark.parametrize("blocks, across, expected", [(1, 1, {0: 0}), (3, 6, {0: 0, 2: 1, 5: 2}), (24, 3, [0, 12, 23])])
def test_blocks_are_placed_by_relative_depth(blocks, across, expected):
    ours = columns_of(blocks, across)
    assert ours == (expected if isinstance(expected, dict) else dict(enumerate(expected)))


def test_the_animation_has_a_frame_a_block_of_the_deepest_network_and_the_same_bytes_again(tables, tmp_path):
    paths = []
    for table in ("gradient_maps", "saliency"):
        paths.append(str(tmp_path / f"{table}.parquet"))
        tables[table].to_parquet(paths[-1])
    files = [tmp_path / name for name in ("one.gif", "two.gif")]
    for file in files:
        drawing.main(figure_job("saliency_over_depth", paths, STYLE, [str(file)]))
    assert files[0].read_bytes() == files[1].read_bytes()
    with Image.open(files[0]) as animated:
        assert animated.n_frames == 6 and animated.info["loop"] == 0


def test_a_gradient_map_without_values_is_drawn_as_the_image_with_these_words(tables):
    maps = tables["gradient_maps"].copy()
    maps["map"] = [np.full_like(values, np.nan) for values in maps["map"]]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure = figure_of("gradient_maps", tables | {"gradient_maps": maps})
        FigureCanvasAgg(figure).draw()
    assert texts(figure).count("no value") == 3 * (2 * 4 + 4 * 3)


def test_a_map_without_range_is_drawn_as_nothing_or_everything():
    np.testing.assert_array_equal(share_of_largest(np.zeros((2, 2))), 0)
    np.testing.assert_array_equal(share_of_largest(np.full((2, 2), 3.0)), 1)
    lonely = np.zeros((20, 20))
    lonely[3, 4] = 5
    lonely[5, 6] = 2
    np.testing.assert_array_equal(share_of_largest(lonely), lonely / 5)


@pytest.mark.parametrize("name", ["saliency", "gradient_maps", "saliency_over_depth"])
def test_maps_that_are_all_zero_of_one_block_and_one_image_are_drawn_without_a_warning(name, tables, tmp_path):
    paths = []
    for table in import_module(f"distillation_dynamics.figures.{name}").TABLES:
        rows = tables[table].query("image == 0")
        rows = (rows if table == "saliency" else rows.query("block == 0")).copy()
        kept = rows["method"].eq("image") if table == "saliency" else np.zeros(len(rows), bool)
        rows["map"] = [values if own else 0 * values for values, own in zip(rows["map"], kept, strict=True)]
        paths.append(str(tmp_path / f"{table}.parquet"))
        rows.to_parquet(paths[-1])
    file = tmp_path / ("drawn.gif" if name == "saliency_over_depth" else "drawn.png")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        drawing.main(figure_job(name, paths, STYLE, [str(file)]))
    with Image.open(file) as picture:
        assert len(np.unique(np.asarray(picture.convert("L")))) > 10
