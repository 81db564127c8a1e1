"""Options of a file of the library as pydantic's fields, with bounds and meaning."""

from collections.abc import Collection, Mapping
from typing import Annotated, Any, Literal

from ..extensions.options import Option
from ..spec.keys import Key

# Default bound of an option.
LARGEST = 1e6
KINDS = {"number": float, "integer": int, "boolean": bool, "string": str}


def field_of(handler: Any, kind: Any, required: bool = False, **default: Any) -> Any:
    """Return pydantic's field of a mapping with one type."""
    from pydantic_core import core_schema

    schema = handler.generate_schema(kind)
    if default:
        schema = core_schema.with_default_schema(schema, **default)
    return core_schema.typed_dict_field(schema, required=required)


def fields_of(handler: Any, options: Mapping[str, Option], required: Collection[str] = ()) -> dict[str, Any]:
    """Return pydantic's fields of options; those without a default are optional unless `required`."""
    found = {}
    for name, option in options.items():
        default = {} if option.default is None else {"default": option.default}
        found[name] = field_of(handler, _kind_of(option), name in required, **default)
    return found


def _kind_of(option: Option) -> Any:
    """Return the type of an option, with its bounds and meaning."""
    kind = Literal[tuple(option.enum)] if option.enum else KINDS[option.type]
    bounds = {
        "ge": option.minimum, "gt": option.exclusiveMinimum, "le": option.maximum, "lt": option.exclusiveMaximum
    }  # fmt: skip
    given: dict[str, Any] = {name: to for name, to in bounds.items() if to is not None}
    if option.type == "number" and not option.enum:
        given |= {"ge": -LARGEST} if not {"ge", "gt"} & given.keys() else {}
        given |= {"le": LARGEST} if not {"le", "lt"} & given.keys() else {}
    return Annotated[kind, Key(option.description, **given)]
