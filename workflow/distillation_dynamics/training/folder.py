"""Writes the output folder of a training or of released weights; file names are in `spec.runs`."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..files import Column, write_json, write_npy, write_table
from ..spec.runs import LOGITS, RESULT, TRAINING
from ..spec.training import Recipe
from .log import EPOCH_COLUMNS, STEP_COLUMNS, TERM_COLUMNS, Log


def write_run(
    out: Path, logits: Mapping[str, np.ndarray], log: Log | None, result: dict[str, Any], cost: dict[str, Any]
) -> None:
    """Write logits [N, K] by split, a training's tables (None: none), result and cost."""
    for split, values in logits.items():
        write_npy(out / LOGITS.format(split), values)
    if log is not None:
        tables: list[tuple[Mapping[str, Any], Mapping[str, Column]]] = [
            (log.steps, STEP_COLUMNS),
            (log.epochs, EPOCH_COLUMNS),
            (log.by_term, TERM_COLUMNS),
        ]
        for name, (columns, documentation) in zip(TRAINING, tables, strict=True):
            write_table(out / name, columns, documentation)
    for name, value in zip(RESULT, (result, cost), strict=True):
        write_json(out / name, value)


def trained_result(recipe: Recipe, log: Log) -> dict[str, Any]:
    """Return a finished training's facts for its result: updates, and which weights were measured."""
    return {
        "updates": len(log.rows),
        "clip_gradient_norm": recipe.clip_gradient_norm,
        "clipped": log.clipped,
        "ema_decay": None if recipe.ema is None else recipe.ema.decay,
    }


def say_clipping(name: str, recipe: Recipe, log: Log) -> None:
    """Report on stderr how many updates of a finished training were clipped; nothing without a limit."""
    if (norm := recipe.clip_gradient_norm) is not None:
        share = f"{100 * log.clipped:.3g} %" if log.clipped else "none"
        print(
            f"{name}: {share} of its {len(log.rows)} updates were clipped at norm {norm:g}", file=sys.stderr, flush=True
        )
