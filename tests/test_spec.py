"""Jobs as values: which of their fields count."""

from dataclasses import dataclass, field
from typing import Any

from distillation_dynamics.spec.base import aside, counted, later


@dataclass(frozen=True)
class Job:
    size: int
    share: float = later(default=0.5)
    more: dict[str, Any] = later(default_factory=dict)
    usual: int = 3
    given: list[int] = field(default_factory=list)
    out: str = aside(default="")


def test_a_field_that_came_later_counts_only_where_it_is_not_its_default():
    assert counted(Job(1, out="there")) == {"size": 1, "usual": 3, "given": []}
    assert counted(Job(1, share=1.0)) == {"size": 1, "share": 1, "usual": 3, "given": []}
    assert counted(Job(1, more={"a": 2.5})) == {"size": 1, "more": {"a": 2.5}, "usual": 3, "given": []}
