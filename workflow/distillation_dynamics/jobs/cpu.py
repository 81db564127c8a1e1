"""The name of this machine's CPU: equal bits are promised for one kind of CPU and number of threads."""

import platform
import re
import subprocess
from functools import cache
from pathlib import Path

FILE = Path("/proc/cpuinfo")
# Of an Apple machine, which has no such file.
COMMAND = "sysctl", "-n", "machdep.cpu.brand_string"


@cache
def name() -> str:
    """Return the name that the CPU gives itself; the kind of machine where it gives none."""
    try:
        if FILE.is_file():
            named = re.search(r"^model name\s*:\s*(.+)$", FILE.read_text(encoding="utf-8"), re.MULTILINE)
            said = named[1] if named else ""
        else:
            said = subprocess.run(COMMAND, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        said = ""
    return " ".join(said.split()) or platform.processor() or platform.machine()
