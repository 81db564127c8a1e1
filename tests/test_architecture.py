"""The rooms of the library import downwards only, and the architecture page shows them as they are."""

import re
from graphlib import CycleError, TopologicalSorter

import pytest

import rooms

PAGE = "docs/architecture.md"


def test_no_room_is_imported_by_one_that_it_imports():
    found = rooms.imports()
    assert {"jobs", "stages", "networks", "metrics", "questions", rooms.GROUND} <= set(found)
    assert found["stages"] > {"metrics", "training"} and not found[rooms.GROUND]
    try:
        list(TopologicalSorter(found).static_order())
    except CycleError as error:
        pytest.fail(f"these import each other: {error.args[1]}")


def test_the_picture_of_the_rooms_is_that_of_the_code(root):
    assert f"```mermaid\n{rooms.drawn()}\n```" in (root / PAGE).read_text(), "put in what tests/rooms.py prints"


def test_what_the_page_names_is_there(root):
    text = (root / PAGE).read_text()
    named = {path for path in re.findall(r"`([\w/.-]+/[\w.-]*|\w+\.py)`", text) if not path.startswith("results")}
    assert len(named) > 20
    for path in named:
        places = root / path, root / "workflow/distillation_dynamics" / path
        assert any(place.exists() for place in places), path
