"""The inputs of stages, one file each, so that an option of one stage does not rerun another. Imports no torch."""
