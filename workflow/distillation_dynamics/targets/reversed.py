"""The teacher's blocks in reverse order: whether it matters which of them a student's block is held against."""

KINDS = ("features", "classes", "registers", "attention", "values")
BLOCKS = "reversed"
