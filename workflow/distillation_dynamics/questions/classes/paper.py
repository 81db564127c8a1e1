"""LaTeX table on class probes."""

from ...paper.numbers import Stated

NUMBERS = {"class_probes": Stated(("network", "probe"))}
