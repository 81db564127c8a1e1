"""The configuration of a study: as written, checked, and as one value from which jobs are made."""
