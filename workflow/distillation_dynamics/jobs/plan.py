"""What must run, and why: the orders of a study held against the records beside its files.

A job is due when its files are not what its order asks for: never made, made for another key, damaged, or made from
something else than what lies there now; and when something that it reads is to be computed anew. Trainings that are due
go into cohorts, what is measured of due students into groups; a student whose run lies finished in the store is only
linked. All that gathers what networks left (tables, statistics, figures, page, paper) is one group.
"""

import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from ..files import read_json, write_json
from . import order as orders
from . import record
from .chain import Chain
from .differences import difference
from .groups import Group, dealt, label_of, network_of, shared_out, split
from .hashes import Hashes
from .links import link
from .node import Node
from .order import GATHERING, GROUPED
from .run import STATES

# A stamp that is older than all others never makes Snakemake think that something was updated.
STAMP_TIME = 1_000_000_000
# So many figures that need no statistics are worth a process of their own beside that of the statistics.
MANY_FIGURES = 12


class Plan:
    """Which nodes of a chain are due, each with its reason, and the groups they go into.

    `forced` says whether a node is to be made anew whatever lies there; `slots` how many trainings (`students`) or
    processes that measure, compare or gather (`measure`, `compare`, `tables`) can run at a time, None on a cluster.
    `stages`: those whose results are asked for, None for all; what else could be gathered waits for a run that asks.
    """

    def __init__(
        self,
        chain: Chain,
        hashes: Hashes,
        forced: Callable[[Node], bool] = lambda node: False,
        slots: dict[str, int | None] | None = None,
        stages: Iterable[str] | None = None,
    ):
        self.chain, self.hashes, self.forced = chain, hashes, forced
        self.again = chain.study.package_versions == "rerun"
        self.reasons: dict[Node, str] = {}
        self.records: dict[str, dict[str, Any] | None] = {}
        self.packages: dict[tuple[str, str, str], int] = {}
        # What is made anew though its files are what is asked for.
        self.anew: set[Node] = set()
        # Runs that must be trained, and those that are only linked, by the record of their student.
        self.training: dict[Node, str] = {}
        self.linked: dict[str, Node] = {}
        # Runs that are not in the store, but whole as a student of the study: what they were made from may be the same.
        self.adopted: dict[Node, Node] = {}
        self.students = set(chain.students.values())
        self.runs = set(chain.runs.values())
        for node in chain.nodes:
            self._judge(node)
        slots = slots or {"students": 1, "measure": 1, "compare": 1, "tables": 1}
        size = chain.study.compute["students"].get("runs_per_job")
        self.cohorts = self._cohorts(size, slots["students"])
        self.measuring = [group for rule in ("measure", "compare") for group in self._sharing(rule, size, slots[rule])]
        self.gathering = list(self._gathering(slots["tables"], stages))
        self.group_of = {node: group for group in self.groups for node in group.nodes}
        by_key = {node.key: group for group in self.cohorts for node in group.nodes}
        # Two variants with equal terms have one run, under two names.
        self.group_of |= {run: by_key[run.key] for run in self.training}

    @property
    def groups(self) -> list[Group]:
        """All groups: each is a job of Snakemake."""
        return [*self.cohorts, *self.measuring, *self.gathering]

    def due(self, stage: str) -> list[Node]:
        """The due nodes of a stage."""
        return [node for node in self.reasons if node.stage == stage]

    def _record(self, node: Node) -> dict[str, Any] | None:
        path = node.order.record
        if path not in self.records:
            self.records[path] = record.read(path)
        return self.records[path]

    def _judge(self, node: Node) -> None:
        if node in self.runs:
            return  # Looked at only where a student asks for it.
        reason = self._fault(node, node not in self.students and self.forced(node))
        if node in self.students:
            (run,) = node.needs
            forced = self.forced(node)
            if reason is not None or forced:
                training = self._fault(run, forced)
                if training is not None:
                    self.training[run] = training
                    # Said of the student, whose record may tell what changed.
                    reason = training if forced or training.startswith("follows") else reason
                else:
                    self.linked[node.order.record] = run
                    reason = f"{reason}; its finished run is linked"
                if self._record(run) is None and record.fault(node.order, self._record(node), self.hashes) is None:
                    self.adopted[run] = node
        if reason is not None:
            self.reasons[node] = reason
            return
        known = self._record(node)
        for package, (then, now) in (record.other_packages(known) if known else {}).items():
            self.packages[package, then, now] = self.packages.get((package, then, now), 0) + 1

    def _fault(self, node: Node, forced: bool = False) -> str | None:
        """Return why a node's files cannot stay; None when they can."""
        if forced:
            self.anew.add(node)
            return "forced"
        known = self._record(node)
        said = record.fault(node.order, known, self.hashes)
        if known is None:
            return said
        if said is None and self.again and (others := record.other_packages(known)):
            self.anew.add(node)
            return "; ".join(f"made with {name} {then}, here is {now}" for name, (then, now) in others.items())
        if said == "is of another key":
            said = self._difference(node, known)
        if said is not None:
            return said
        return self._other_input(node, known)

    def _other_input(self, node: Node, known: dict[str, Any]) -> str | None:
        """Return which of the files that a node was made from is another now, or is to be made anew."""
        # A student was made from what its run was made from.
        needs = node.needs[0].needs if node in self.students else node.needs
        anew = [need for need in needs if self._is_computed(need)]
        # Stored outputs of the teacher that are made again for another variant are checked by each student that asks.
        anew = [need for need in anew if need.stage != "teacher_outputs"]
        if anew:
            return _follows(anew)
        for path, path_of_record in node.order.reads.items():
            theirs = self._shown(path, path_of_record)
            if known["inputs"].get(path) != theirs:
                return f"{path} is another than the one it was made from"
        return None

    def _is_computed(self, node: Node) -> bool:
        """Whether a node's files are computed anew; those of a linked student are known beforehand."""
        if node in self.students:
            return node.needs[0] in self.training and node in self.reasons
        return node in self.reasons or node in self.training

    def _shown(self, path: str, path_of_record: str) -> str | None:
        """Return the hash that a record gives for a file; that of a student about to be linked is its run's."""
        name = os.path.relpath(path, Path(path_of_record).parent)
        path_of_record = self.linked[path_of_record].order.record if path_of_record in self.linked else path_of_record
        if path_of_record not in self.records:
            self.records[path_of_record] = record.read(path_of_record)
        known = self.records[path_of_record]
        return None if known is None else known["files"].get(name, {}).get("sha256")

    def _difference(self, node: Node, known: dict[str, Any]) -> str:
        """Return what differs between the job of a record and that of an order."""
        if said := difference(node.order, known):
            return said
        return _follows(need for need in node.needs if need in self.reasons or need in self.training)

    def _cohorts(self, size: int | None, slots: int | None) -> list[Group]:
        """Share the due trainings of each seed out over jobs: equal trainings once, all slots busy."""
        by_seed: dict[int, list[Node]] = {}
        for node in {node.key: node for node in self.training}.values():
            by_seed.setdefault(node.order.job.seed, []).append(node)
        return list(shared_out("cohorts", by_seed, size, slots))

    def _sharing(self, rule: str, size: int | None, slots: int | None) -> list[Group]:
        """Share what is due of networks (or pairs of them) out over jobs: the reference alone, students by seed."""
        due: dict[Any, dict[str, list[Node]]] = {}
        for node in (node for stage in GROUPED[rule] for node in self.due(stage)):
            network = network_of(node)
            part = network if network == self.chain.names[0] else split(network)[1]
            due.setdefault(part, {}).setdefault(network, []).append(node)
        reference = {part: due.pop(part) for part in (self.chain.names[0],) if part in due}
        groups = []
        for share in (reference, due):
            by_part = {part: list(networks.values()) for part, networks in share.items()}
            jobs = {part: sum(map(len, networks)) for part, networks in by_part.items()}
            shares = {part: count / sum(jobs.values()) for part, count in jobs.items()}
            for networks in dealt(by_part, size, slots, shares):
                groups.append(Group(rule, tuple(node for nodes in networks for node in nodes)))
        return groups

    def _gathering(self, slots: int | None, stages: Iterable[str] | None) -> Iterator[Group]:
        """Yield the groups of what gathers; many figures are drawn beside the statistics where there is a slot.

        Page and paper wait for all of them.
        """
        asked = set(self.chain.asked) if stages is None else _with_needs(self.chain.of(*stages))
        due = [node for node in self.reasons if node.stage in GATHERING and node in asked]
        ends = [node for node in due if node in (self.chain.page, self.chain.paper)]
        last = [node for node in due if self.chain.statistics in (node, *node.needs) and node not in ends]
        figures = [node for node in due if node.stage == "figures" and node not in last]
        split = slots is not None and slots > 1 and len(figures) >= MANY_FIGURES
        others = [node for node in due if node not in (*last, *figures, *ends)]
        for part in (others, last, figures, ends) if split else (due,):
            if part:
                yield Group("tables", tuple(part))

    def settle(self, begin: bool = False) -> None:
        """Make the stamps say what the plan says, and write the orders that are to be carried out.

        Where a run is about to `begin`, the records of what is made anew go, and the states of such trainings.
        """
        for node in self.chain.nodes:
            stamp = Path(node.stamp)
            if node in self.reasons:
                stamp.unlink(missing_ok=True)
                orders.write(node.order, node.file)
            elif node not in self.runs:
                stamp.parent.mkdir(parents=True, exist_ok=True)
                stamp.touch()
                os.utime(stamp, (STAMP_TIME, STAMP_TIME))
        for run in [*self.training, *self.linked.values()]:
            orders.write(run.order, run.file)
        for run, student in self.adopted.items():
            if run not in self.anew:
                link(run.order, student.order)
        for node in self.anew if begin else ():
            record.remove(node.order)
            shutil.rmtree(Path(node.folder) / STATES, ignore_errors=True)
        for group in self.groups:
            # Left behind where something that waited for it failed.
            Path(group.marker).unlink(missing_ok=True)
            value = {
                "stage": group.stage,
                "title": group.title,
                "orders": [node.file for node in group.nodes],
                "labels": list(dict.fromkeys(label_of(node) for node in group.nodes)),
                "needs": list(dict.fromkeys(path for node in group.nodes for path in self._waits_for(node, group))),
            }
            if not Path(group.file).is_file() or read_json(group.file) != value:
                write_json(group.file, value)

    def _waits_for(self, node: Node, group: Group) -> Iterator[str]:
        """Yield the stamps and markers that a member waits for."""
        for need in node.needs:
            other = self.group_of.get(need)
            if other is None:
                yield need.stamp
            elif other is not group:
                yield other.marker

    def say(self) -> None:
        """Print on stderr what is not as it was left, which no change of the study explains."""
        for node, reason in self.reasons.items():
            if any(words in reason for words in (" has ", " is missing", " is another than")):
                print(f"{node}: {reason}; it is made again", file=sys.stderr)
        for (package, then, now), count in self.packages.items():
            print(
                f"the results of {count} jobs were made with {package} {then}, here is {now}: numbers may differ; "
                "`package_versions: rerun` makes them again",
                file=sys.stderr,
            )


def _with_needs(nodes: Iterable[Node]) -> set[Node]:
    """Return nodes and all that they are made from."""
    found, left = set(), list(nodes)
    while left:
        node = left.pop()
        if node not in found:
            found.add(node)
            left += node.needs
    return found


def _follows(nodes: Iterable[Node]) -> str:
    """Return that a job is due because of others, by their stages: of many students one line is enough."""
    return "follows " + ", ".join(dict.fromkeys(node.stage for node in nodes) or ["other results"])
