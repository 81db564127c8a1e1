"""The schema of a study's configuration, with what files of the library add to it. Imports no torch."""

import json
from pathlib import Path
from typing import Any

from .. import extensions
from . import faults

SCHEMA = Path(__file__).parent / "study.schema.yaml"
# A number, or the share of the loss that the term is given over the first updates.
WEIGHT = {
    "description": "of the term in the loss, or {share: s}: the weight that gives it that share over the first updates",
    "type": ["number", "object"],
    "minimum": 0,
    "additionalProperties": False,
    "required": ["share"],
    "properties": {"share": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}},
}


def load_schema() -> dict[str, Any]:
    """Return the JSON schema, with the names of readers, objectives and metrics where they may stand."""
    import yaml

    schema = yaml.safe_load(SCHEMA.read_text(encoding="utf-8"))
    top = schema["properties"]
    top["variants"]["additionalProperties"] |= {
        "additionalProperties": False,
        "properties": {name: _term(objective) for name, objective in extensions.objectives().items()},
    }
    readers, metrics = list(extensions.readers()), list(extensions.metrics())
    pairs = list(extensions.pair_metrics())
    for part in (top["data"], top["probes"]["additionalProperties"]):
        part["properties"]["source"] |= {"enum": readers}
    top["measure"]["properties"]["metrics"] |= {"items": {"enum": metrics}, "default": metrics}
    top["compare"]["properties"]["metrics"] |= {"items": {"enum": pairs}, "default": pairs}
    for part, names in (
        (top["networks"]["additionalProperties"]["properties"]["without"], metrics),
        (top["measure"]["properties"]["first_seed_only"], metrics),
        (top["compare"]["properties"]["first_seed_only"], pairs),
    ):
        part |= {"items": {"enum": names}}
    return schema


def _term(objective: extensions.Objective) -> dict[str, Any]:
    schema: dict[str, Any] = {
        "type": "object",
        "additionalProperties": False,
        "required": ["weight"],
        "properties": {"weight": WEIGHT, **objective.options},
    }
    if objective.requires == "teacher_features":
        schema["required"] = ["weight", "pairs"]
        schema["properties"] |= {"pairs": {}, "reduction": {"enum": ["mean", "sum"], "default": "mean"}}
    return schema


def with_defaults(value: Any, schema: dict[str, Any], root: dict[str, Any]) -> Any:
    """Return a configuration with the schema's defaults filled in, and whole numbers as such."""
    if "$ref" in schema:
        schema = root["$defs"][schema["$ref"].rpartition("/")[2]]
    if isinstance(value, list):
        return [with_defaults(item, schema.get("items", {}), root) for item in value]
    if not isinstance(value, dict):
        # 2e3 and 2.0 are whole numbers too.
        whole = schema.get("type") == "integer" and isinstance(value, float) and value.is_integer()
        return int(value) if whole and abs(value) < faults.LARGEST else value
    properties, other = schema.get("properties", {}), schema.get("additionalProperties")
    for key, part in properties.items():
        if key not in value and "default" in part:
            value[key] = json.loads(json.dumps(part["default"]))
    for key in value:
        part = properties.get(key, other)
        if isinstance(part, dict):
            value[key] = with_defaults(value[key], part, root)
    return value
