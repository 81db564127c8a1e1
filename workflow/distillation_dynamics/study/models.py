"""A model in a configuration: a timm model, and optionally an architecture that modifies it. Imports no torch."""

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from .. import extensions
from ..spec.keys import Key, Text
from .fields import fields_of

ARGS = "Arguments of timm.create_model; leave out image size, channels and classes, which follow from view and data."
XAVIER = "Initial weights: timm's, or Xavier-uniform linear layers, which train better at small widths."


class Architectures:
    """All architectures, each with the options of its file."""

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        """Return pydantic's schema of a mapping of architectures."""
        from pydantic_core import core_schema

        fields = {}
        for name, known in extensions.architectures().items():
            own = fields_of(handler, known.options, known.required)
            schema = core_schema.typed_dict_schema(
                own, extra_behavior="forbid", metadata={"pydantic_js_updates": {"description": known.shows}}
            )
            fields[name] = core_schema.typed_dict_field(schema, required=False)
        return core_schema.typed_dict_schema(fields, extra_behavior="forbid")


@dataclass(frozen=True)
class Named:
    """A timm model in a configuration."""

    name: Annotated[Text, Key("Name of a timm model.")]
    args: Annotated[dict[str, Any], Key(ARGS)] = field(default_factory=dict)
    initialisation: Annotated[Literal["timm", "xavier"], Key(XAVIER)] = "timm"
    architecture: Annotated[dict[str, dict[str, Any]], Architectures()] = field(default_factory=dict)
