"""The teacher's blocks in reverse order: tests whether it matters with which block a student's block is compared."""

KINDS = ("features", "classes", "registers", "attention", "values")
BLOCKS = "reversed"
