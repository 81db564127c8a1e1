"""The statistics of a study: one file a question, thresholds once, and the report of all."""
