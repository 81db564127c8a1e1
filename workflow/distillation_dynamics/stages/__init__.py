"""The stages of a study, a module a rule, of the same name: what a job of it does."""
