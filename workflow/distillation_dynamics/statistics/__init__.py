"""The statistics of a study: one file a question (`shape`, `variants`, `alignment`), and the report of all three."""
