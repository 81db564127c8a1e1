"""The terms of variants: one kind per objective, with the options of its file."""

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
    """A share of the loss or of the gradients over the first updates, instead of a weight."""

    share: Annotated[float | None, Key("Share of the loss that the term gets.", gt=0, lt=1)] = None
    gradient_share: Annotated[
        float | None, Key("Share of the summed gradient norms that the term gets.", gt=0, lt=1)
    ] = None


OBJECTIVE = Key("Objective of the term, a file of objectives/; default: the one with the term's name.")
# Keys of every term.
WEIGHT = Annotated[
    Factor | Share,
    Key(
        "Weight of the term in the loss; {share: s} or {gradient_share: s} chooses the weight that gives the term "
        f"this share of the loss, or of the gradient norms on the blocks, over the first {CALIBRATION_UPDATES} updates."
    ),
]
COURSE = Annotated[Course, Key("How the weight changes over training; default: it is constant.")]
TEACHER = Annotated[str, Key("Network that teaches this term; default: the variant's teacher.")]
TARGET = Annotated[
    str, OneOf("targets"), Key("Null target that replaces the teacher as a control; default: teacher, no control.")
]
# Keys of terms that compare blocks.
PAIRS = Annotated[
    Any,
    Key("Aligned blocks: first, last, last2 (the last two), a pair [student's, teacher's] from 0, or a list of them."),
]
MOVES = Annotated[Moves, Key("Aligns the pairs one after another; default: all at once.")]
WHOM = {
    "student": "Student that the variant trains, by name; default: every student, each as a variant of its own.",
    "teacher": "Network that teaches the variant, by name; default: the study's teacher.",
}
REDUCTION = Annotated[Literal["mean", "sum"], Key("Whether the values of several pairs are averaged or summed.")]


class Terms:
    """The terms of a variant by name, and WHO; a term not named after an objective has the key `objective`."""

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
    """Return the objective of a term."""
    return KIND + str(term["objective"]) if isinstance(term, dict) and "objective" in term else None
