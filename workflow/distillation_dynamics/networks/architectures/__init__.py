"""Architectures: a model of timm changed, one file each, that stands alone with torch and timm.

`modify(make, ...)` returns the network; `make(**changes)` makes the study's model as timm does, with arguments changed.
What is asked of the network: `networks.protocol`.
"""
