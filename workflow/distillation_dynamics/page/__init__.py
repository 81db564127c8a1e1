"""The page of a study: one file with charts, tables, printed figures and words, which opens without a network."""
