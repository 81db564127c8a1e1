"""Parts for a paper on a study: LaTeX tables, numbers, figures with captions, methods, sources."""
