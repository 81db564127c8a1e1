"""Controls that replace a teacher's output: one file each, found by its name."""
