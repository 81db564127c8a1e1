"""Accuracy of every network and variant. Only a section of the report: its numbers are those of the summary."""

TITLE = "Accuracy"
PLACE = 10
READS = ("runs",)
