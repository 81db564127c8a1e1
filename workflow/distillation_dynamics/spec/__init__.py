"""What stages are told, a file a stage: an option of one is no reason to run another again. Imports no torch."""
