"""A study as a data set that Hugging Face `datasets` loads: `python -m distillation_dynamics.share.dataset STUDY`.

In: a finished study. Out, in `results/<study>/dataset/`: its tables (`tables/<table>.parquet`, as they are), the
features that its metrics kept (`features/<network>[_seed<k>].parquet`: one row per image, block and checkpoint),
`COLUMNS.md` (unit and meaning of every column), `study.yaml` (the configuration) and `README.md`, a card that names
each table as a configuration of the data set. Imports no torch.
"""

import argparse
import shutil
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from ..columns import table as column_table
from ..errors import StudyError
from ..files import Column, columns_of, read_json, read_npy, replacing, write_text
from ..jobs import provenance

# Folders of a study that contain its tables.
FOLDERS = ("tables", "summary", "statistics")
FEATURES, COLUMNS, CONFIGURATION = "features", "COLUMNS.md", "study.yaml"
FEATURE_COLUMNS = {
    "network": Column("", "network, its control, or variant"),
    "seed": Column("", "seed of the student; null for networks"),
    "checkpoint": Column("", "which of its weights: epoch of a student, trained or control of a network"),
    "block": Column("", "0-based block"),
    "block_name": Column("", "name of the block in timm"),
    "image": Column("", "0-based place in the split that is measured"),
    "image_name": Column("", "name of the image"),
    "label": Column("", "class; null without labels"),
    "shape": Column("", "shape of the feature: channels, rows, columns; or channels, tokens"),
    "feature": Column("activation units", "patch tokens of the block, row-major in that shape"),
}
FEATURE_TYPES = {
    "network": pa.string(), "seed": pa.int64(), "checkpoint": pa.string(), "block": pa.int64(),
    "block_name": pa.string(), "image": pa.int64(), "image_name": pa.string(), "label": pa.int64(),
    # 16-bit values are not readable everywhere; compressed, 32 bits cost little more.
    "shape": pa.list_(pa.int64()), "feature": pa.list_(pa.float32()),
}  # fmt: skip


class Subset(NamedTuple):
    """One configuration of the data set: its name, its files, rows in all, and columns."""

    name: str
    files: str
    rows: int
    columns: dict[str, Column]


def write(study: str) -> Path:
    """Write the data set of a study; return its folder. Raises StudyError if the study has no tables."""
    folder, said = provenance.read(study)
    out = folder / "dataset"
    shutil.rmtree(out, ignore_errors=True)
    subsets = list(_tables(folder, out))
    if not subsets:
        raise StudyError(f"STUDY: {folder} has no tables yet; run snakemake with it first")
    subsets += _features(folder, out)
    write_text(out / COLUMNS, columns_said(subsets))
    write_text(out / CONFIGURATION, yaml.safe_dump(_portable(said["configuration"]), sort_keys=False))
    # The card last: without it the data set is incomplete.
    write_text(out / "README.md", card(said, subsets))
    return out


def _tables(folder: Path, out: Path) -> Iterator[Subset]:
    """Copy the tables that have rows."""
    for path in sorted(path for name in FOLDERS for path in (folder / name).glob("*.parquet")):
        try:
            rows = pq.read_metadata(path).num_rows
        except (pa.ArrowInvalid, OSError) as error:
            raise StudyError(f"{path}: is not readable Parquet; delete it and run snakemake again") from error
        if rows:
            with replacing(out / "tables" / path.name) as temporary:
                shutil.copyfile(path, temporary)
            yield Subset(path.stem, f"tables/{path.name}", rows, columns_of(pq.read_schema(path)))


def _features(folder: Path, out: Path) -> list[Subset]:
    """Write the features of every network, if any were kept."""
    rows = 0
    for kept in sorted((folder / "measure").glob("*/**/features")):
        network, seed = _owner(kept.parent.relative_to(folder / "measure").parts)
        name = network if seed is None else f"{network}_seed{seed}"
        with replacing(out / f"{FEATURES}/{name}.parquet") as temporary:
            rows += _write_features(temporary, kept, network, seed)
    return [Subset(FEATURES, f"{FEATURES}/*.parquet", rows, FEATURE_COLUMNS)] if rows else []


def _owner(parts: tuple[str, ...]) -> tuple[str, int | None]:
    """Return network and seed of a folder of measurements: networks/<name>, or students/<variant>/seed<k>."""
    return parts[1], int(parts[2].removeprefix("seed")) if len(parts) > 2 else None


def _write_features(path: Path, kept: Path, network: str, seed: int | None) -> int:
    """Write the features of a network's checkpoints, one block at a time; return the number of rows."""
    fields = [
        pa.field(name, FEATURE_TYPES[name], metadata={"unit": unit, "description": description})
        for name, (unit, description) in FEATURE_COLUMNS.items()
    ]
    rows = 0
    with pq.ParquetWriter(path, pa.schema(fields), compression="zstd") as writer:
        for folder in sorted(kept.iterdir()):
            if not (folder / "meta.json").is_file():
                continue
            meta = read_json(folder / "meta.json")
            for block, name in enumerate(meta["blocks"]):
                values = read_npy(folder / f"block{block:02d}.npy")
                shape = list(values.shape[1:])
                flat = np.asarray(values, dtype=np.float32).reshape(len(values), -1)
                columns = {
                    "network": network, "seed": seed, "checkpoint": folder.name, "block": block, "block_name": name,
                    "shape": shape,
                }  # fmt: skip
                columns = {column: [value] * len(flat) for column, value in columns.items()}
                columns |= {
                    "image": meta["images"],
                    "image_name": meta["names"],
                    "label": [label if label >= 0 else None for label in meta["labels"]],
                }
                writer.write_table(pa.table(columns | {"feature": list(flat)}, schema=writer.schema))
                rows += len(flat)
    return rows


def card(study: dict[str, Any], subsets: Iterable[Subset]) -> str:
    """Return README.md: front matter with a configuration for each table, and a list of the tables."""
    subsets = list(subsets)
    matter = {
        "pretty_name": f"Distillation Dynamics: study {study['name']}",
        "tags": ["knowledge-distillation", "representation-analysis"],
        "configs": [{"config_name": subset.name, "data_files": subset.files} for subset in subsets],
    }
    commit = study.get("commit")
    made = "a commit that is not recorded" if commit is None else f"commit {commit['hash']}"
    sections = [
        f"# Study {study['name']}: tables and features",
        f"Measurements of a study of Distillation Dynamics, made by {made}. `{CONFIGURATION}` holds its configuration, "
        f"`{COLUMNS}` the unit and meaning of every column, as do the Parquet files themselves.",
        f'Load a table with `datasets.load_dataset(folder, {subsets[0].name!r}, split="train")` or with '
        "`pandas.read_parquet`. Networks have no seed (null). The tables of statistics hold intervals and tests with "
        f"their n. {_pixels(subsets)}",
        "Licence: not recorded. Choose one before you share this, and add it above as `license:`.",
        "\n".join(["## Tables", "", "| table | rows | columns | files |", "|---|---|---|---|", *map(_row, subsets)]),
    ]
    return f"---\n{yaml.safe_dump(matter, sort_keys=False)}---\n\n" + "\n\n".join(sections) + "\n"


def _row(subset: Subset) -> str:
    return f"| {subset.name} | {subset.rows:,} | {len(subset.columns)} | `{subset.files}` |"


def columns_said(subsets: Iterable[Subset]) -> str:
    """Return COLUMNS.md: unit and meaning of the columns of each table."""
    return "\n\n".join(["# Columns", *(f"## {one.name}\n\n{column_table(one.columns)}" for one in subsets)]) + "\n"


def _portable(value: Any) -> Any:
    """Return a configuration without machine-specific folders: absolute paths become their last name."""
    if isinstance(value, dict):
        return {key: _portable(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_portable(inner) for inner in value]
    return Path(value).name if isinstance(value, str) and Path(value).is_absolute() else value


def _pixels(subsets: list[Subset]) -> str:
    """Return whether the data set contains images."""
    if any(subset.name == "saliency" for subset in subsets):
        return (
            "`saliency` holds the pixels of a few example images (method `image`), under the licence of those images."
        )
    return "No image itself is in it."


def main(arguments: list[str]) -> str | None:
    """Write the data set of a study; return the error sentence, None on success."""
    parser = argparse.ArgumentParser(
        prog="python -m distillation_dynamics.share.dataset", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("study", help="name of a finished study")
    given = parser.parse_args(arguments)
    try:
        out = write(given.study)
    except StudyError as error:
        return f"error: {error}"
    print(f'{out}: datasets.load_dataset("{out}", "summary", split="train") loads a table of it')
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
