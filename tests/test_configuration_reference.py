"""docs/configuration.md is what the schema says: every key, with its values, default and meaning."""

import re

from distillation_dynamics import options
from distillation_dynamics.study.schema import load_schema


def test_the_reference_is_what_the_schema_says(root):
    text = (root / "docs/configuration.md").read_text()
    assert text == options.page(), "run `make options > docs/configuration.md`"


def keys(part, root, above=""):
    """Every path of keys that the schema knows, by a walk of its own."""
    if "$ref" in part:
        part = root["$defs"][part["$ref"].split("/")[-1]]
    below = part.get("properties", {})
    other = part.get("additionalProperties")
    if isinstance(other, dict):
        below = {**below, "<name>": other}
    found = set()
    for name, inner in below.items():
        deeper = keys(inner, root, f"{above}{name}.")
        weight = name == "weight"
        found |= deeper if deeper and not weight else {f"{above}{name}"}
    return found


def test_no_key_is_left_out_and_none_is_invented():
    schema = load_schema()
    told = set(re.findall(r"^\| \*{0,2}`([^`]+)`", options.page(), re.MULTILINE))
    assert told == keys(schema, schema) and len(told) > 100


def test_values_defaults_and_what_must_be_given_are_told():
    page = options.page()
    assert "| `state_minutes` | number, at least 0 | `10` | between two saved states" in page
    assert "| **`data.source`** | `folder`, `parquet` |" in page
    assert "| `figures.dpi` | whole number, at least 50, at most 1200 | `200` |" in page
    assert "| **`variants.<name>.soft.weight`** | number or mapping, at least 0 |" in page
