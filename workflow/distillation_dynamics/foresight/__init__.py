"""Tests over finished studies whether a measure before training predicts the effect of aligning a pair of blocks."""
