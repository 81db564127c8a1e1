"""How a job computes. Nothing of it is in a job's key; the number of threads and processes decides the last bits."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Machine:
    """What the study's `compute` says of one stage, as far as the stage itself must know it."""

    threads: int = 1
    minutes_between_states: float = 10.0
    images_at_a_time: int | None = None
