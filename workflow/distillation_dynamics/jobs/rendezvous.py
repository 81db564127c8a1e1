"""Meeting point of the processes of a training on several nodes: `python -m distillation_dynamics.jobs.rendezvous`.

Runs on the first node of a job and prints host:port with a free port. Ephemeral ports are excluded: any connection may
take one at any moment.
"""

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path

RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
# Range below the ports of known services and above the last port.
FIRST, END = 1024, 65536
# Maximum number of ports to try, and those to try if all are ephemeral.
MOST, ANY = 12_000, range(20_000, 32_000)


def ports() -> range:
    """Return the ports that are not ephemeral."""
    try:
        low, high = map(int, RANGE.read_text().split())
    except (OSError, ValueError):
        return ANY
    below, above = range(max(FIRST, low - MOST), low), range(high + 1, min(END, high + 1 + MOST))
    return max(below, above, key=len) or ANY


def candidates(job: int) -> Iterator[int]:
    """Yield these ports, starting at a different one for each job."""
    known = ports()
    return (known[(job + place) % len(known)] for place in range(len(known)))


def is_free(port: int) -> bool:
    """Return whether no process listens on a port of this machine."""
    both = socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if both else socket.AF_INET
    with contextlib.suppress(OSError), socket.create_server(("", port), family=family, dualstack_ipv6=both):
        return True
    return False


if __name__ == "__main__":
    job = int(os.environ.get("SLURM_JOB_ID", "0"))
    print(f"{socket.gethostname()}:{next(port for port in candidates(job) if is_free(port))}")
