"""The images of a study: split once by the stage, then read as batches."""
