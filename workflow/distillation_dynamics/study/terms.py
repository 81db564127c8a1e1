"""What a variant may hold: the terms that objectives of the library make, each with the options of its file."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from .. import extensions
from ..spec.keys import KIND, Key
from ..spec.tables import WHO
from ..spec.training import CALIBRATION_UPDATES, Course, Factor, Moves
from .fields import field_of, fields_of
from .names import OneOf


@dataclass(frozen=True)
class Share:
    """The share that a term is given, instead of a weight: of the loss or of the gradients, over the first updates."""

    share: Annotated[float | None, Key("of the loss", gt=0, lt=1)] = None
    gradient_share: Annotated[float | None, Key("of the norms of the terms' gradients", gt=0, lt=1)] = None


OBJECTIVE = Key("file of objectives/ that makes it; left out: that of the term's name")
# What every term has.
WEIGHT = Annotated[
    Factor | Share,
    Key(
        "of the term in the loss; {share: s} or {gradient_share: s}: the weight that gives it that share of the loss, "
        f"or of the norms of the terms' gradients on the student's blocks, over the first {CALIBRATION_UPDATES} updates"
    ),
]
COURSE = Annotated[Course, Key("how its weight changes over training; left out: it does not")]
TEACHER = Annotated[str, Key("the network that it takes from; left out: that of its variant")]
TARGET = Annotated[str, OneOf("targets"), Key("what stands in the teacher's place, as a control; left out: teacher")]
# What a term has that compares blocks.
PAIRS = Annotated[
    Any,
    Key(
        "blocks that it compares: first, last, last2 (the last two), [student's, teacher's] from 0, or a list of these"
    ),
]
MOVES = Annotated[Moves, Key("it goes through its pairs one at a time; left out: all at once")]
WHOM = {
    "student": "the one that it trains; left out: all of them, each as a variant of its own",
    "teacher": "the network that teaches it; left out: the study's",
}
REDUCTION = Annotated[Literal["mean", "sum"], Key("of what the pairs give, into one term")]


class Terms:
    """The terms of a variant by name, and WHO; a term whose name is no objective's says which it is of."""

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        """Return pydantic's schema of a mapping of terms."""
        from pydantic_core import core_schema

        def term(name: str, objective: extensions.Objective) -> Any:
            kinds: dict[str, Any] = {
                "objective": Annotated[Literal[name], OBJECTIVE],
                "course": COURSE,
                "target": TARGET,
            } | ({"teacher": TEACHER} if objective.taught else {})
            fields = {"weight": field_of(handler, WEIGHT, required=True)}
            if objective.by_block:
                kinds["moves"] = MOVES
                fields["pairs"] = field_of(handler, PAIRS, required=True)
                fields["reduction"] = field_of(handler, REDUCTION, default="mean")
            fields |= {key: field_of(handler, kind) for key, kind in kinds.items()}
            fields |= fields_of(handler, objective.options)
            return core_schema.typed_dict_schema(fields, extra_behavior="forbid")

        terms = {name: term(name, objective) for name, objective in extensions.objectives().items()}
        fields = {name: core_schema.typed_dict_field(schema, required=False) for name, schema in terms.items()}
        fields |= {name: field_of(handler, Annotated[str, Key(WHOM[name])]) for name in WHO}
        of_other_names = core_schema.tagged_union_schema(
            {KIND + name: schema for name, schema in terms.items()}, _named
        )
        return core_schema.typed_dict_schema(fields, extra_behavior="allow", extras_schema=of_other_names)


def _named(term: Any) -> str | None:
    """Return the objective that a term says it is of."""
    return KIND + str(term["objective"]) if isinstance(term, dict) and "objective" in term else None
