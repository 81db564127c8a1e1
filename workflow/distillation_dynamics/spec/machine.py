"""How a job computes. It is not part of the key, although the number of threads and processes changes the last bits."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Machine:
    """The part of the study's `compute` that a stage itself needs."""

    threads: int = 1
    minutes_between_states: float = 10.0
    images_at_a_time: int | None = None
