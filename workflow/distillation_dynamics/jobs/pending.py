"""Explains why SLURM does not start a job: reasons that pass, that need a person, that can never be met.

SLURM lists its reasons in src/common/job_state_reason.c (slurm_protocol_defs.c before 23.11) and explains them in
`squeue(1)`, JOB REASON CODES, and on https://slurm.schedmd.com/resource_limits.html. The name of a limit says of what
it is one, and for whom; those for one job can never be met, those for all jobs of a user, an account or a QOS are met
when others of them end.
"""

import re
from collections.abc import Mapping
from enum import Enum
from typing import NamedTuple

from .causes import PROFILE, TRAININGS, keys_with


class Fate(Enum):
    """Future of a pending job."""

    PASSES = "starts by itself"
    SHARED = "starts when others end that have what it waits for"
    STAYS = "stays where it is until somebody does something"
    NEVER = "can never start as it is"


class Reason(NamedTuple):
    """Meaning of a reason, and the remedy."""

    fate: Fate
    sentence: str = ""


PASSES, SHARED = Reason(Fate.PASSES), Reason(Fate.SHARED)
ACCOUNT = Reason(
    Fate.NEVER, "is not allowed with its account: name another slurm_account or slurm_partition in {profile}"
)
QOS = Reason(Fate.NEVER, "is not allowed with its QOS: name another qos or slurm_partition in {profile}")
BUDGET = Reason(
    Fate.STAYS, "waits for an account or QOS whose budget is used up: name another slurm_account or qos in {profile}"
)
HELD = Reason(Fate.STAYS, "is held: scontrol release lets it go")
NO_SUCH_NODE = Reason(
    Fate.NEVER, "asks for what no node of its partition has: change {keys} in the study, or the partition in {profile}"
)
DOWN = Reason(Fate.STAYS, "waits for a partition that is closed now: name another slurm_partition in {profile}")
NAMED = {
    **dict.fromkeys(
        [
            *("None", "Prolog", "Priority", "Dependency", "Resources", "BeginTime", "Licenses", "Reservation"),
            *("ReqNodeNotAvail", "FrontEndDown", "SchedDefer", "NodeDown", "Cleaning", "JobArrayTaskLimit"),
            *("FedJobLock", "BurstBufferResources", "BurstBufferStageIn", "PowerNotAvail", "PowerReserved"),
            # Left from a job's previous run, if it was requeued.
            *("NonZeroExitCode", "RaisedSignal", "TimeLimit", "InactiveLimit", "OutOfMemory"),
        ],
        PASSES,
    ),
    **dict.fromkeys(("AssociationJobLimit", "AssociationResourceLimit", "QOSJobLimit", "QOSResourceLimit"), SHARED),
    **dict.fromkeys(("AssociationTimeLimit", "QOSTimeLimit", "QOSUsageThreshold"), BUDGET),
    **dict.fromkeys(("PartitionDown", "PartitionInactive"), DOWN),
    "PartitionTimeLimit": Reason(
        Fate.NEVER, "asks for more minutes than its partition allows: lower {runtime}{goes_on}, or name another "
        "slurm_partition in {profile}",
    ),
    "PartitionNodeLimit": Reason(
        Fate.NEVER, "asks for more nodes than its partition allows: lower {nodes}, or name another slurm_partition in "
        "{profile}",
    ),
    "MaxMemPerLimit": Reason(
        Fate.NEVER, "asks for more memory than its partition allows: lower {mem_mb}, or name another slurm_partition "
        "in {profile}",
    ),
    **dict.fromkeys(("InvalidAccount", "AccountNotAllowed"), ACCOUNT),
    **dict.fromkeys(("InvalidQOS", "QOSNotAllowed"), QOS),
    **dict.fromkeys(("BadConstraints", "PartitionConfig"), NO_SUCH_NODE),
    **dict.fromkeys(("JobHeldUser", "JobHoldMaxRequeue", "JobLaunchFailure"), HELD),
    "JobHeldAdmin": Reason(Fate.STAYS, "is held by an administrator of the cluster: ask there"),
    "SystemFailure": Reason(Fate.STAYS, "is held after a fault of the cluster: scontrol release lets it go"),
    "BurstBufferOperation": Reason(Fate.STAYS, "is held after a fault of its burst buffer: ask who runs the cluster"),
    "AccountingPolicy": Reason(Fate.STAYS, "waits for a limit of its account or QOS: sacctmgr show association, qos"),
    "Constraints": Reason(Fate.STAYS, "waits for nodes with what its constraint names: see `constraint` in {profile}"),
    "DependencyNeverSatisfied": Reason(Fate.NEVER, "waits for a job that failed: see slurm_extra in {profile}"),
    **dict.fromkeys(
        ("ReservationDeleted", "ReservationInvalid"),
        Reason(Fate.NEVER, "asks for a reservation that is not there: see slurm-reservation in {profile}"),
    ),
    "DeadLine": Reason(Fate.NEVER, "cannot end before its deadline: see slurm_extra in {profile}"),
}  # fmt: skip
# Texts that SLURM prints instead of a reason's name.
SAID = {
    "Job's account not": ACCOUNT,
    "Job's QOS not": QOS,
    "Nodes required for job are": PASSES,
    "launch failed requeued held": HELD,
    "job requeued in held state": HELD,
    "job requeued in special exit state": HELD,
}
# Reasons about the partition: a job may name several, and another may fit.
OF_PARTITION = re.compile(r"Partition|MaxMemPerLimit|\w+NotAllowed|Job's (account|QOS) not")
LIMIT = re.compile(
    r"(?:QOS|Assoc)?(?P<kind>Grp|Max|Min)(?P<what>[A-Z]\w*?)(?P<minutes>(?:Run)?Minutes)?(?:Per(?P<whose>Job|Node|User|Account))?"
    r"(?:Limit|NotSatisfied)?"
)
# Limited resource -> its name, and the study's option that requests it.
WHAT = {
    "cpu": ("cores", "threads"),
    "mem": ("memory", "mem_mb"),
    "memory": ("memory", "mem_mb"),
    "node": ("nodes", "nodes"),
    "gres": ("GPUs", "gpu"),
    "wallduration": ("minutes", "runtime"),
    "billing": ("what its account is billed for", "keys"),
}
OPTIONS = ("runtime", "nodes", "threads", "mem_mb", "gpu")


def meaning(reason: str) -> Reason | None:
    """Return the meaning of SLURM's reason for a pending job; None for a reason not listed here.

    >>> meaning("QOSMaxCpuPerUserLimit").fate.name, meaning("QOSMaxCpuPerJobLimit").fate.name
    ('SHARED', 'NEVER')
    """
    words = reason.replace("_", " ").strip()
    for beginning, known in SAID.items():
        if words.startswith(beginning):
            return known
    name = re.split(r"[ ,(:]", words, maxsplit=1)[0]
    if name in NAMED:
        return NAMED[name]
    return _of_limit(limit) if (limit := LIMIT.fullmatch(name)) is not None else None


def _of_limit(limit: re.Match) -> Reason:
    what, option = WHAT.get(limit["what"].lower(), (f"what SLURM calls {limit['what']}", "keys"))
    if re.fullmatch(r"(Submit)?Jobs?", limit["what"]):
        return SHARED
    if limit["kind"] == "Min":
        return Reason(Fate.NEVER, f"asks for less ({what}) than its QOS wants: change {{{option}}}")
    if limit["kind"] == "Grp" and (limit["minutes"] == "Minutes" or limit["what"] == "Wall"):
        return BUDGET
    if limit["kind"] == "Grp" or limit["whose"] in ("User", "Account"):
        return SHARED
    keys = f"{{{option}}}" + (" or {runtime}" if limit["minutes"] else "{goes_on}" * (option == "runtime"))
    times = " times minutes" if limit["minutes"] else ""
    where = " of a node" if limit["whose"] == "Node" else ""
    return Reason(
        Fate.NEVER, f"asks for more ({what}{times}{where}) than its account or QOS allows a job: lower {keys}, or name "
        "another slurm_account or qos in {profile}",
    )  # fmt: skip


def sentence(reason: str, found: Reason, parts: tuple[str, ...]) -> str:
    """Return a reason as a sentence with the keys to change in the given `parts` of the study."""
    keys: Mapping[str, str] = {option: keys_with(parts, option) for option in OPTIONS}
    goes_on = " (a training goes on in the next attempt)" if set(parts) <= TRAININGS else ""
    said = found.sentence.format(**keys, keys=keys_with(parts), profile=PROFILE, goes_on=goes_on)
    return f"{said} (SLURM: {reason})"
