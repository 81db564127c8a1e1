"""The terms of a distillation loss: one file each, found by its name."""
