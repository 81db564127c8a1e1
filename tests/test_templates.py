"""How the templates of the report become Markdown: what their lines, lists and tables mean."""

import jinja2
import pandas as pd
import pytest

from distillation_dynamics.report import templates


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A folder in which templates are looked for."""
    monkeypatch.setattr(templates, "ROOT", tmp_path)
    templates._environment.cache_clear()
    yield tmp_path
    templates._environment.cache_clear()


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("One\n\ntwo\n", ["One", "two"]),
        ("A line\n  goes   on\n, and on\n.\n", ["A line goes on, and on."]),
        ("p is\n.05\n", ["p is .05"]),
        ("**\n  bold\n.**\n", ["**bold.**"]),
        ("- a\n  b\n- {{ nothing }}\n", ["- a b\n- -"]),
        ("Falls by\n{{ nothing }} to\n", ["Falls by - to"]),
        ("{% if rows == [] %}\nNone.\n{% endif %}\n\nMore.\n", ["More."]),
        ("{% for row in rows %}\n\n{{ row }}\n{% endfor %}\n", ["1", "2"]),
        ("{% for row in [1, 2, 3] %}\n{{ row }}{{ loop | between }}\n{% endfor %}\n", ["1, 2 and 3"]),
        ('{{ frame | table({"a": "%"}) }}\n', ["| a [%] | b |\n|---|---|\n| 1 | x  y |"]),
        ("{{ 0.256 | percent }} %, {{ 2 | plural('seed') }}, {{ [8, 8] | over }}\n", ["26 %, 2 seeds, 8 seeds"]),
        ("{{ 'none' if share is missing }}\n", ["none"]),
    ],
)
def test_a_template_becomes_paragraphs(template, said, folder):
    (folder / "mine.md.j2").write_text(template)
    frame = pd.DataFrame({"a": [1], "b": ["x  y"]})
    values = {"nothing": "-", "rows": [1, 2], "frame": frame, "share": float("nan")}
    assert list(templates.rendered("mine.md.j2", **values)) == said


def test_a_name_that_a_template_is_not_told_is_an_error(folder):
    (folder / "mine.md.j2").write_text("{{ seeds }}")
    with pytest.raises(jinja2.UndefinedError, match="'seeds' is undefined"):
        templates.rendered("mine.md.j2", seed=1)
