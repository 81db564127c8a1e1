"""The terms a distillation loss is made of: one file a term, found by its file's name."""
