"""Meaning and bounds of a configuration key, next to its type: `epochs: Annotated[int, Key("Passes.", ge=1)]`.

pydantic reads it when a study is loaded. Jobs receive checked values, so this module imports nothing.
"""

from typing import Annotated, Any

# Larger integers do not exist in numpy and torch.
LARGEST = 2**63
# Prefix of the kind of a value in pydantic's error locations, for keys with several kinds; no key can begin with it.
KIND = "\0"


class Key:
    """Meaning of a key in one sentence, and bounds by pydantic's names (ge, gt, le, lt, min_length, pattern).

    A key whose type allows None is optional; None itself cannot be given. `unique`: no item twice.
    """

    def __init__(self, meaning: str = "", *, unique: bool = False, **bounds: Any):
        self.meaning, self.unique, self.bounds = meaning, unique, bounds

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        """Return pydantic's schema of the type with these bounds."""
        from pydantic_core import core_schema

        schema = handler(source)
        if schema["type"] == "nullable":
            schema = schema["schema"]
        if schema["type"] == "union":
            kinds = {_KIND_OF.get(choice["type"], "object"): choice for choice in schema["choices"]}
            choices = {KIND + kind: choice for kind, choice in kinds.items()}
            return core_schema.tagged_union_schema(choices, lambda value: KIND + _kind(value))
        schema = schema | self.bounds
        if schema["type"] == "int" or isinstance(schema.get("expected", [None])[0], int):
            return core_schema.no_info_before_validator_function(_whole, schema)
        return core_schema.no_info_after_validator_function(_unique, schema) if self.unique else schema

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> dict[str, Any]:
        """Return the JSON schema of the type with the meaning."""
        described = handler(schema) | ({"description": self.meaning} if self.meaning else {})
        return described | ({"uniqueItems": True} if self.unique else {})


# pydantic's types of values, as kinds of JSON.
_KIND_OF = {"float": "number", "str": "string", "tuple": "array", "literal": "string"}


def _kind(value: Any) -> str:
    """Return the JSON kind of a value."""
    kinds = {int: "number", float: "number", str: "string", list: "array", dict: "object"}
    return kinds.get(type(value), "other")


def _whole(value: Any) -> Any:
    """Return a whole number as int, also from 2e3 or 2.0; true is not a number."""
    from pydantic_core import PydanticKnownError

    if isinstance(value, bool):
        raise PydanticKnownError("int_type")
    whole = isinstance(value, float) and value.is_integer() and abs(value) < LARGEST
    return int(value) if whole else value


def _unique(items: tuple) -> tuple:
    from pydantic_core import PydanticCustomError

    for number, item in enumerate(items):
        if item in items[:number]:
            raise PydanticCustomError("twice", "given twice", {"item": item})
    return items


Text = Annotated[str, Key(min_length=1)]
Natural = Annotated[int, Key(ge=0)]
Count = Annotated[int, Key(ge=1)]
Seed = Annotated[int, Key(ge=0, le=999_999)]
NotNegative = Annotated[float, Key(ge=0)]
Positive = Annotated[float, Key(gt=0)]
Fraction = Annotated[float, Key(ge=0, le=1)]
Percent = Annotated[float, Key(ge=0, le=100)]
