"""Where the processes of a training on several nodes meet: `python -m distillation_dynamics.jobs.rendezvous`.

It runs on the first node of a job and prints host:port, a port that is free there. Ports that the system hands out by
itself (ephemeral ones) are left out: any connection may take one at any moment.
"""

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path

RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
# Ports below are those of known services; above there are none.
FIRST, END = 1024, 65536
# As many ports as are asked for at most; where the system keeps all to itself, these.
MOST, ANY = 12_000, range(20_000, 32_000)


def ports() -> range:
    """Return ports that the system does not hand out by itself."""
    try:
        low, high = map(int, RANGE.read_text().split())
    except (OSError, ValueError):
        return ANY
    below, above = range(max(FIRST, low - MOST), low), range(high + 1, min(END, high + 1 + MOST))
    return max(below, above, key=len) or ANY


def candidates(job: int) -> Iterator[int]:
    """Yield all of these ports, those of each job from another one on."""
    known = ports()
    return (known[(job + place) % len(known)] for place in range(len(known)))


def is_free(port: int) -> bool:
    """Whether nobody listens on a port of this machine."""
    both = socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if both else socket.AF_INET
    with contextlib.suppress(OSError), socket.create_server(("", port), family=family, dualstack_ipv6=both):
        return True
    return False


if __name__ == "__main__":
    job = int(os.environ.get("SLURM_JOB_ID", "0"))
    print(f"{socket.gethostname()}:{next(port for port in candidates(job) if is_free(port))}")
