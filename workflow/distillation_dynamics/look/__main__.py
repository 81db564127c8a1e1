"""Analyses one network without a configuration file: `python -m distillation_dynamics.look NETWORK IMAGES`.

In: released weights (`hf-hub:owner/name`, a folder or a .safetensors file) and pictures (a folder, a .tar or Parquet
files). Out: a study of that network alone, with its configuration next to its results. The study runs, ends with its
summary, and names its page and figures. Imports no torch.
"""

import argparse
import subprocess
import sys
from pathlib import Path

from ..errors import StudyError
from ..spec.tables import INDEX
from .configuration import Asked, announced, configuration_of, studied, write

RESULTS, FILE = Path("results"), "look.yaml"
EXAMPLE = "NETWORK=hf-hub:timm/vit_small_patch16_224.dino@main IMAGES=photographs/"


def main(arguments: list[str]) -> str | None:
    """Analyse a network; return the error sentence, None on success."""
    asked, others = _asked(arguments)
    if not (asked.network and asked.images):
        return f"error: NETWORK, IMAGES: give both, as in make look {EXAMPLE}"
    try:
        configuration, study = studied(configuration_of(asked), asked)
        path = RESULTS / configuration["name"] / FILE
        for said in announced(configuration, study):
            print(said, flush=True)
        print(write(path, configuration), flush=True)
    except StudyError as error:
        return f"error: {error}"
    command = [sys.executable, "-m", "snakemake", "--cores", "all", "--configfile", str(path), *others]
    if status := subprocess.run(command, check=False).returncode:
        return f"error: snakemake ended with status {status}; see its messages above"
    results = RESULTS / configuration["name"]
    # With Snakemake options that run nothing, or not everything, there may be no page.
    if (results / INDEX).is_file():
        print(f"\nPage: {results / INDEX}\nFigures: {results / 'figures'}")
    return None


def _asked(arguments: list[str]) -> tuple[Asked, list[str]]:
    """Return the request of a command, and its Snakemake options."""
    parser = argparse.ArgumentParser(
        prog="python -m distillation_dynamics.look", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("network", nargs="?", help="hf-hub:owner/name[@revision], a folder, or a .safetensors file")
    parser.add_argument("images", nargs="?", help="a folder or .tar of pictures, or Parquet files")
    parser.add_argument("--name", help="name of the network in tables and figures")
    parser.add_argument("--model", help="timm model, if no config.json names it")
    parser.add_argument("--size", help="side of its square input in pixels; default: that of its weights")
    parser.add_argument("--groups", help="regular expression that groups images of one photograph by name")
    parser.add_argument(
        "--features", action="store_true", help="write the features of all blocks, which need much space"
    )
    given, others = parser.parse_known_args(arguments)
    return Asked(**vars(given)), others


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
