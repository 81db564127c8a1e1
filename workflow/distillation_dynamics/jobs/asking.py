"""Runs a module in a process of its own that imports torch, so that the plan does not have to."""

import json
import os
import subprocess
import sys
from typing import Any

from ..threads import VARIABLES


class UnansweredError(Exception):
    """The module ended without an answer; the text is the last line it printed."""


def ask(module: str, text: str) -> Any:
    """Return what `<module>.main()`, given the text, prints as its last line, JSON; it computes with one thread.

    Raises UnansweredError if it fails.
    """
    package = __package__.partition(".")[0]
    command = [sys.executable, "-m", f"{package}.imports", f"{package}.{module}", text]
    alone = os.environ | dict.fromkeys(VARIABLES, "1")
    done = subprocess.run(command, env=alone, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise UnansweredError((done.stderr.strip().splitlines() or ["it ended without a word"])[-1])
    return json.loads(done.stdout.splitlines()[-1])
