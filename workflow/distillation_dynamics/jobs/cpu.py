"""Kind of this machine's CPU: results are equal bit for bit on one kind of CPU with one number of threads."""

import platform
import re
import subprocess
from functools import cache
from pathlib import Path

FILE = Path("/proc/cpuinfo")
# Vector instructions, by which torch chooses its kernels: CPUs of one name may differ in them, and then in last bits.
INSTRUCTIONS = {"avx512f": "AVX-512", "avx2": "AVX2"}
# Fallback on Apple machines, which lack that file.
COMMAND = "sysctl", "-n", "machdep.cpu.brand_string"


@cache
def name() -> str:
    """Return the CPU's own name, or else the kind of machine, with its widest vector instructions if known."""
    flags: list[str] = []
    try:
        if FILE.is_file():
            facts = dict(re.findall(r"^(model name|flags)\s*:\s*(.+)$", FILE.read_text(encoding="utf-8"), re.MULTILINE))
            said, flags = facts.get("model name", ""), facts.get("flags", "").split()
        else:
            said = subprocess.run(COMMAND, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        said = ""
    widest = next((f" with {name}" for flag, name in INSTRUCTIONS.items() if flag in flags), "")
    return (" ".join(said.split()) or platform.processor() or platform.machine()) + widest
