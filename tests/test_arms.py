"""Student, variant and teacher are columns of their own; colours follow what variants are made of, not their names."""

import colorsys

import matplotlib as mpl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from distillation_dynamics.arms import COLUMNS, with_arms, write_of_study
from distillation_dynamics.drawing.style import Style
from distillation_dynamics.files import Column, columns_of, whole_numbers
from distillation_dynamics.page.looks import lightened, looks
from distillation_dynamics.spec.tables import Arm, Names

ARMS = {"soft-small": Arm("soft", "small", "cait", (("soft", "soft"),)), "b": Arm("b", "large", "vit", ())}


def style(**terms):
    """A style of variants, each of (term, objective)."""
    arms = {name: Arm(name, "student", "cait", own) for name, own in terms.items()}
    return Style("colorblind", 50, Names(("cait",), {}, "cait", arms, {}))


def alone(*objectives):
    return tuple((name, name) for name in objectives)


CE, SOFT = alone("cross_entropy"), alone("cross_entropy", "soft")


def hue(color):
    return colorsys.rgb_to_hls(*mpl.colors.to_rgb(color))[0]


def test_student_variant_and_teacher_stand_behind_the_network():
    table = pa.table({"probe": ["a"] * 3, "network": ["cait", "soft-small", "b"], "seed": [None, 0, 1]})
    found = with_arms(table, ARMS)
    assert found.column_names == ["probe", "network", "student", "variant", "teacher", "seed"]
    assert found.select(["student", "variant", "teacher"]).to_pylist() == [
        {"student": None, "variant": None, "teacher": None},
        {"student": "small", "variant": "soft", "teacher": "cait"},
        {"student": "large", "variant": "b", "teacher": "vit"},
    ]
    assert {name: columns_of(found.schema)[name] for name in COLUMNS} == COLUMNS


@pytest.mark.parametrize("arms", [{}, ARMS])
def test_of_networks_alone_the_columns_are_text_without_a_value(tmp_path, arms):
    said = {"network": Column("", "network"), "seed": Column("", "seed")}
    write_of_study(tmp_path / "a.parquet", {"network": ["vit"], "seed": whole_numbers([None])}, said, arms)
    table = pq.read_table(tmp_path / "a.parquet")
    assert table.to_pylist() == [{"network": "vit", "student": None, "variant": None, "teacher": None, "seed": None}]
    assert {str(table.schema.field(name).type) for name in COLUMNS} == {"string"}


def test_a_table_without_networks_is_as_it_was_and_one_without_rows_has_the_columns():
    table = pa.table({"variant": ["soft"], "difference": [0.1]})
    assert with_arms(table, ARMS) is table
    empty = with_arms(pa.table({"network": pa.array([], pa.null())}), ARMS)
    assert empty.column_names == ["network", *COLUMNS] and len(empty) == 0


def test_a_variant_has_the_colour_of_what_marks_it_whatever_it_is_called():
    plain = style(none=CE, soft=SOFT, spectral_last=(*SOFT, *alone("spectral")), projector=(*SOFT, *alone("projector")))
    other = style(a=CE, soft_b=SOFT, soft_c=(*SOFT, *alone("spectral")), soft_d=(*SOFT, *alone("projector")))
    assert list(plain.looks(plain.names.variants).values()) == list(other.looks(other.names.variants).values())
    terms, drawn = plain.terms(), plain.looks(plain.names.variants)
    marks = {"none": "cross_entropy", "soft": "soft", "spectral_last": "spectral", "projector": "projector"}
    assert {name: look["color"] for name, look in drawn.items()} == {name: terms[of] for name, of in marks.items()}
    assert len(set(terms.values())) == 4


def test_variants_that_one_objective_marks_are_shades_of_its_colour():
    last, first = (*SOFT, ("late", "spectral")), (*SOFT, ("early", "spectral"))
    drawn = style(soft=SOFT, last=last, first=first)
    one, two = (drawn.looks(drawn.names.variants)[name] for name in ("last", "first"))
    assert hue(one["color"]) == pytest.approx(hue(two["color"]), abs=0.01) and one["color"] != two["color"]
    assert (one["linestyle"], one["marker"]) != (two["linestyle"], two["marker"])
    # Two terms of one objective are distinguished, too.
    assert hue(drawn.terms()["late"]) == pytest.approx(hue(drawn.terms()["early"]), abs=0.01)
    assert drawn.terms()["late"] != drawn.terms()["early"]


def test_a_study_of_one_kind_is_marked_by_its_last_objective():
    drawn = style(last=(*SOFT, *alone("spectral")), first=(*SOFT, *alone("spectral")))
    colors = [look["color"] for look in drawn.looks(drawn.names.variants).values()]
    assert all(hue(color) == pytest.approx(hue(drawn.terms()["spectral"]), abs=0.01) for color in colors)


def test_the_page_has_the_colours_of_terms_that_print_has():
    drawn = style(none=CE, soft=SOFT)
    found = looks(drawn)
    light = dict(zip(found["terms"]["names"], found["terms"]["light"], strict=True))
    assert light == {name: mpl.colors.to_hex(color) for name, color in drawn.terms().items()}
    assert found["terms"]["dark"] == [lightened(color) for color in light.values()]
    variants = dict(zip(found["names"], found["light"], strict=True))
    assert (variants["none"], variants["soft"]) == (light["cross_entropy"], light["soft"])
    assert looks(style())["terms"] == {"names": [], "light": [], "dark": []}
