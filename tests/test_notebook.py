"""The example notebook runs from top to bottom, and shows what it says."""

import json
import os
import subprocess
import sys

END = """
assert [len(of) for of in blocks.values()] == [6, 6, 6] and tuple(blocks["seed 0"][0].shape) == (256, 48, 4, 4)
for table in tables.values():
    assert list(table.index) == list(range(6)) and np.isfinite(table).all(axis=None)
    assert (table["effective rank"] <= 48).all()
# Networks that differ: no table of ones, and trained ones are more alike than a trained and an untrained one.
for values in likeness.values():
    assert values.shape == (6, 6) and values.max() < 0.99 and np.ptp(values) > 0.03
assert likeness["seed 1"].mean() > likeness["seed 0, untrained"].mean() + 0.1
assert len(plt.get_fignums()) == 2 and all(plt.figure(number).axes[0].has_data() for number in plt.get_fignums())
print("shown")
"""


def test_a_document_links_the_notebook(root):
    assert "(examples/metrics.ipynb)" in (root / "docs/analysis.md").read_text()


def test_the_notebook_runs_from_top_to_bottom(root):
    notebook = json.loads((root / "docs/examples/metrics.ipynb").read_text())
    cells = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert all(not cell.get("outputs") for cell in notebook["cells"]), "outputs are not committed"
    environment = os.environ | {"PYTHONPATH": str(root / "workflow"), "MPLBACKEND": "Agg"}
    command = [sys.executable, "-c", "\n\n".join([*cells, END])]
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and done.stdout.endswith("shown\n"), done.stderr
