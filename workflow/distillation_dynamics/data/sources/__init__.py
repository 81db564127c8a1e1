"""Readers of images: a file for each kind of source, which defines what `data.source` says."""
