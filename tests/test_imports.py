"""Modules are imported without garbage collections, which go on afterwards, also after an error."""

import gc
import sys

import pytest

from distillation_dynamics.imports import imported


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Return a function that writes a module and returns its name."""
    monkeypatch.syspath_prepend(tmp_path)

    def written(name, text):
        (tmp_path / f"{name}.py").write_text(text)
        monkeypatch.delitem(sys.modules, name, raising=False)
        return name

    yield written
    gc.unfreeze()


def test_a_module_is_imported_without_collections_and_its_objects_are_visited_no_more(module):
    name = module("mine_imported", "import gc\nENABLED, OBJECTS = gc.isenabled(), [[] for _ in range(1000)]")
    before = gc.get_freeze_count()
    found = imported(name)
    assert found is sys.modules[name] and not found.ENABLED and gc.isenabled()
    assert gc.get_freeze_count() >= before + 1000
    frozen = gc.get_freeze_count()
    assert imported(name) is found and gc.get_freeze_count() == frozen, "a second time, nothing is frozen"


def test_after_an_error_garbage_is_collected_again(module):
    with pytest.raises(ZeroDivisionError):
        imported(module("mine_failing", "1 / 0"))
    assert gc.isenabled()
