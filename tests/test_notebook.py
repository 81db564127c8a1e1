"""The example notebook runs from top to bottom, and shows what it says."""

import json
import os
import subprocess
import sys

END = """
import numpy as np
assert len(blocks) == 6 and tuple(blocks[0].shape) == (64, 48, 7, 7)
assert list(table.index) == list(range(6)) and np.isfinite(table).all(axis=None)
assert (table["effective rank"] <= 48).all()
assert likeness.shape == (6, 6) and likeness.abs().max(axis=None) <= 1 + 1e-6
print("shown")
"""


def test_the_notebook_runs_from_top_to_bottom(root):
    notebook = json.loads((root / "docs/examples/metrics.ipynb").read_text())
    cells = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert all(not cell.get("outputs") for cell in notebook["cells"]), "outputs are not committed"
    environment = os.environ | {"PYTHONPATH": str(root / "workflow"), "MPLBACKEND": "Agg"}
    command = [sys.executable, "-c", "\n\n".join([*cells, END])]
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and done.stdout.endswith("shown\n"), done.stderr
