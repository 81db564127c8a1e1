"""What a variant may hold: the terms that objectives of the library make, each with the options of its file."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from .. import extensions
from ..spec.keys import Key
from .fields import field_of, fields_of


@dataclass(frozen=True)
class Share:
    """The share of the loss that a term is given, instead of a weight."""

    share: Annotated[float, Key("of the loss over the first updates", gt=0, lt=1)]


# What every term has.
WEIGHT = Annotated[
    Annotated[float, Key(ge=0)] | Share,
    Key("of the term in the loss, or {share: s}: the weight that gives it that share over the first updates"),
]
# What a term has that compares blocks.
PAIRS = Annotated[
    Any,
    Key(
        "blocks that it compares: first, last, last2 (the last two), [student's, teacher's] from 0, or a list of these"
    ),
]
REDUCTION = Annotated[Literal["mean", "sum"], Key("of what the pairs give, into one term")]


class Terms:
    """The terms of a variant, by objective: each at most once, none but those that there are."""

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        """Return pydantic's schema of a mapping of terms."""
        from pydantic_core import core_schema

        def term(objective: extensions.Objective) -> Any:
            fields = {"weight": field_of(handler, WEIGHT, required=True)}
            if objective.requires == "teacher_features":
                fields["pairs"] = field_of(handler, PAIRS, required=True)
                fields["reduction"] = field_of(handler, REDUCTION, default="mean")
            fields |= fields_of(handler, objective.options)
            return core_schema.typed_dict_schema(fields, extra_behavior="forbid")

        terms = {name: term(objective) for name, objective in extensions.objectives().items()}
        fields = {name: core_schema.typed_dict_field(schema, required=False) for name, schema in terms.items()}
        return core_schema.typed_dict_schema(fields, extra_behavior="forbid")
