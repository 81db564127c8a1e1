"""What of a study goes into a paper: LaTeX tables, numbers, figures with captions, methods, sources."""
