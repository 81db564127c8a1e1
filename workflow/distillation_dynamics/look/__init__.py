"""Analyses one network without a configuration file: `python -m distillation_dynamics.look NETWORK IMAGES`."""
