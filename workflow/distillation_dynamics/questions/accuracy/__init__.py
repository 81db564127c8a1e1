"""What does every network and variant reach? A section of the report alone: its numbers are those of the summary."""

TITLE = "Accuracy"
PLACE = 10
READS = ("runs",)
