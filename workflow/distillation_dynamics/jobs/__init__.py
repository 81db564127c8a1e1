"""Decides what runs and why: the jobs of a study, their keys and records, the plan, the store. Imports no torch."""
