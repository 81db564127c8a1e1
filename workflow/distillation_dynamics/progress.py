"""What a stage that carries out several jobs together says of each of them. Imports no torch."""

from .errors import StudyError


class Progress:
    """Is told of every job, by its number; this one is silent, and raises what went wrong."""

    def state_key(self, job: int) -> str:
        """Return the name of the states of a job's unfinished training."""
        return f"member{job}"

    def begin(self, job: int) -> None:
        """The files of a job are about to be written."""

    def end(self, job: int, seconds: float) -> None:
        """The files of a job are written; its part of the time took so many seconds."""

    def fail(self, job: int, error: StudyError) -> None:
        """A job ended with an error."""
        raise error
