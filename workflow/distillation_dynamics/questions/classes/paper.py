"""The numbers on probes of a paper."""

from ...paper.numbers import Stated

NUMBERS = {"class_probes": Stated(("network", "probe"))}
