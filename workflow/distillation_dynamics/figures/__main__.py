"""The figures stage: draw one figure from study-level tables, as PDF and PNG. Imports no torch."""

import json
from importlib import import_module
from pathlib import Path

from ..files import read_table, replacing
from ..stage import run_stage
from .style import Style


def main(arguments) -> None:
    """Draw one figure; the files are equal, byte for byte, for equal tables."""
    style = Style(**json.loads(arguments.options))
    style.apply()
    tables = {Path(path).stem: read_table(path) for path in arguments.tables}
    figure = import_module(f"{__package__}.{arguments.figure}").draw(tables, style)
    for path, metadata in ((arguments.output_pdf, {"CreationDate": None}), (arguments.output_png, {"Software": None})):
        with replacing(path) as temporary:
            figure.savefig(temporary, format=Path(path).suffix[1:], dpi=style.dpi, metadata=metadata)


if __name__ == "__main__":
    run_stage(main, "figure", "options", "output-pdf", "output-png", tables="study-level tables the figure reads")
