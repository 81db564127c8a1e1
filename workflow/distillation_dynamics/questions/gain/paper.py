"""The numbers on gains over training of a paper."""

from ...paper.numbers import Stated

NUMBERS = {"trajectory": Stated(("variant", "epoch"))}
