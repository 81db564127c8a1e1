"""docs/configuration.md is what the declaration of the keys says: every key, with its values, default and meaning."""

from dataclasses import fields, is_dataclass
from typing import Annotated, get_args, get_origin, get_type_hints

from distillation_dynamics import extensions, options
from distillation_dynamics.spec.tables import WHO
from distillation_dynamics.study.keys import Configuration

ROWS = [line.strip("| \n").split(" | ") for line in options.page().splitlines() if line.startswith(("| `", "| **`"))]
OF_TERM = {
    "objective",
    "weight",
    "target",
    "teacher",
    "pairs",
    "reduction",
    "moves",
    "moves.by",
    "moves.gate",
    "course",
}
OF_TERM |= {f"course.{key}" for key in ("shape", "values", "between", "off_after")}
KEYS = [row[0].strip("*`") for row in ROWS]


def test_the_reference_is_what_the_keys_say(root):
    text = (root / "docs/configuration.md").read_text()
    assert text == options.page(), "run `make options > docs/configuration.md`"


def keys(kind, above=""):
    """Every path of keys below a class, by a walk of its own."""
    if get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    parts = [part for part in get_args(kind) if part is not type(None)] or [kind]
    if is_dataclass(parts[0]):
        hints = get_type_hints(parts[0], include_extras=True)
        below = set().union(*(keys(hints[one.name], f"{above}.{one.name}") for one in fields(parts[0])))
        # A mapping below the top that may be None has a row that says what its absence means.
        return below | ({above.removeprefix(".")} if type(None) in get_args(kind) and above.count(".") > 1 else set())
    named = [part for part in parts if get_origin(part) is dict] or [kind] * (get_origin(kind) is dict)
    if above.endswith(".model.architecture"):
        known = extensions.architectures().items()
        return {f"{above}.{name}.{one}".strip(".") for name, part in known for one in (*part.options, "")}
    if named and above != ".variants" and not above.endswith((".args", ".families")):
        return keys(get_args(named[0])[1], f"{above}.<name>")
    return {above.removeprefix(".")}


def test_no_key_is_left_out_and_none_is_invented():
    known = extensions.objectives().items()
    terms = {f"variants.<name>.{name}.{option}" for name, one in known for option in one.options}
    terms |= {f"variants.<name>.<term>.{option}" for option in OF_TERM} | {f"variants.<name>.{who}" for who in WHO}
    assert {key for key in KEYS if not key.startswith("variants.")} == keys(Configuration) - {"variants"}
    assert {key for key in KEYS if key.startswith("variants.")} == terms
    assert len(KEYS) == len(set(KEYS)) > 100


def test_every_key_has_a_meaning_in_a_sentence():
    assert [row for row in ROWS if len(row) != 4] == []
    # "Of the maps." says nothing: a meaning has four words, and begins with what the key is or does.
    assert [row[3] for row in ROWS if len(row[3].split()) < 4] == []
    assert [row[3] for row in ROWS if row[3].startswith(("Of ", "That ", "What it ")) or not row[3].endswith(".")] == []


def test_values_defaults_and_what_must_be_given_are_told():
    page = options.page()
    assert "| `state_minutes` | number, at least 0 | `10.0` | Minutes between saved states" in page
    assert "| **`data.source`** | `folder`, `parquet` |" in page
    assert "| `figures.dpi` | whole number, at least 50, at most 1200 | `200` |" in page
    assert "| **`variants.<name>.<term>.weight`** | number, at least 0, at most 1e+06 or mapping |" in page
    assert "| `variants.<name>.soft.temperature` | number, at least 0.001, at most 1000 | `1.0` |" in page
