"""The exceptions whose messages are written for the person who runs the study."""


class StudyError(Exception):
    """Something the user can mend: the message names the file or key and the remedy, in one sentence."""


class Interrupted(Exception):
    """A stage was asked to stop and saved its state: nothing is wrong, but it is not finished."""
