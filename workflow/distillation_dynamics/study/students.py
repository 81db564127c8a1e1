"""The students that a configuration names, and the arms of its variants. Imports no torch."""

from .keys import Configuration, Student
from .study import STUDENT


def students_of(config: Configuration) -> dict[str, Student]:
    """Return the students of a study by name."""
    return {} if config.student is None else {STUDENT: config.student}
