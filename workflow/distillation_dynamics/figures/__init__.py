"""The figures of a study: one file a figure, named like it, each with TABLES and `draw(tables, style)`."""
