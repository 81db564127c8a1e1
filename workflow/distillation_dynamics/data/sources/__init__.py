"""Image readers: one file for each value of `data.source`."""
