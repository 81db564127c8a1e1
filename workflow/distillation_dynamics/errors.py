"""The one exception whose message is written for the person who runs the study."""


class StudyError(Exception):
    """Something the user can mend: the message names the file or key and the remedy, in one sentence."""
