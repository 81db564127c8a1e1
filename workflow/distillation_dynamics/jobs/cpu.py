"""Name of this machine's CPU: results are equal bit for bit on one kind of CPU with one number of threads."""

import platform
import re
import subprocess
from functools import cache
from pathlib import Path

FILE = Path("/proc/cpuinfo")
# Fallback on Apple machines, which lack that file.
COMMAND = "sysctl", "-n", "machdep.cpu.brand_string"


@cache
def name() -> str:
    """Return the CPU's own name, or else the kind of machine."""
    try:
        if FILE.is_file():
            named = re.search(r"^model name\s*:\s*(.+)$", FILE.read_text(encoding="utf-8"), re.MULTILINE)
            said = named[1] if named else ""
        else:
            said = subprocess.run(COMMAND, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        said = ""
    return " ".join(said.split()) or platform.processor() or platform.machine()
