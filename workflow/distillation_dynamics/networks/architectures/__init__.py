"""Architectures: modified timm models, one file each, which depends only on torch and timm.

`modify(make, ...)` returns the network; `make(**changes)` builds the study's timm model with changed arguments.
Requirements on the network: `networks.protocol`.
"""
