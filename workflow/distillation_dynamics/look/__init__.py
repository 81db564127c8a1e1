"""Look into one network without writing a configuration: `python -m distillation_dynamics.look NETWORK IMAGES`."""
