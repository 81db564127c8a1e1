"""Options that objectives share are declared once, taken by name, and overridden by an objective's own."""

import pytest

from distillation_dynamics import extensions
from distillation_dynamics.errors import StudyError
from distillation_dynamics.extensions.file import File
from distillation_dynamics.extensions.options import options_of
from distillation_dynamics.syntax import defined

SHARED = 'OPTIONS = {"size": {"type": "number", "minimum": 0, "default": 1.0, "description": "how large"}}\n'


def options(folder, text):
    (folder / "_shared.py").write_text(SHARED)
    (folder / "mine.py").write_text(text)
    return options_of(File(str(folder / "mine.py"), "mine", defined(folder / "mine.py")))


def test_a_shared_option_is_taken_by_its_name_and_may_have_another_default(tmp_path):
    taken = options(tmp_path, 'SHARED = ("size",)\n')["size"]
    assert (taken.default, taken.minimum, taken.description) == (1.0, 0, "how large")
    text = 'SHARED = ("size",)\nOPTIONS = {"size": {"default": 2.0}, "other": {"type": "integer", "default": 3}}\n'
    changed = options(tmp_path, text)
    assert (changed["size"].default, changed["size"].description) == (2.0, "how large")
    assert changed["other"].default == 3 and set(changed) == {"size", "other"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('SHARED = ("sise",)\n', "SHARED: 'sise' is not valid; did you mean size?"),
        ('SHARED = "size"\n', "SHARED: must be a tuple of names"),
        ('SHARED = ("size",)\nOPTIONS = {"size": {"default": 1, "least": 0}}\n', "OPTIONS.size.least: "),
        ('SHARED = ("size",)\nOPTIONS = {"size": 2}\n', "OPTIONS.size: "),
        ("x = 1\n", "OPTIONS: is not given"),
    ],
)
def test_what_cannot_be_taken_is_said_with_the_file(tmp_path, text, said):
    with pytest.raises(StudyError, match=r"mine\.py: ") as refused:
        options(tmp_path, text)
    assert said in str(refused.value)


def test_the_temperature_is_one_option_with_two_defaults():
    known = {name: one.options for name, one in extensions.objectives().items() if "temperature" in one.options}
    assert {name: one["temperature"].default for name, one in known.items()} == {
        "dist": 1.0, "dkd": 1.0, "lskd": 2.0, "nkd": 1.0, "soft": 1.0
    }  # fmt: skip
    bounds = {(one["temperature"].minimum, one["temperature"].maximum) for one in known.values()}
    assert bounds == {(0.001, 1000)}


def test_terms_that_are_handed_features_of_a_teacher_share_what_is_done_to_them():
    known = extensions.objectives()
    by_feature = {name: one.options for name, one in known.items() if "teacher_features" in one.takes}
    # The two of the publication are as they were published; the target of vkd is normalised in any case.
    assert {name for name, own in by_feature.items() if "robust" not in own} == {"spectral", "projector"}
    assert {name for name, own in by_feature.items() if "normalise_target" not in own} == {
        "spectral",
        "projector",
        "vkd",
    }
