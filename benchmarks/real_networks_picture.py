"""The picture of the real network: intensity over depth on four image sets, with its controls.

    python benchmarks/real_networks_picture.py [results/real_networks docs/images/real_networks.png]

In: tables/depth.parquet of the study `studies/real_networks.yaml`. Out: a PNG for README.md and docs/findings.md.
"""

import sys
from pathlib import Path

import pandas as pd
from matplotlib.ticker import NullLocator

sys.path.insert(0, str(Path(__file__).parents[1] / "workflow"))
from distillation_dynamics.drawing.layout import Room, legend_below, sheet
from distillation_dynamics.drawing.style import INTERVAL, Style
from distillation_dynamics.spec.tables import Names

NETWORK = "dinov2"
SETS = {"balanced": "objects", "textures": "textures", "drawings": "drawings", "fashion_mnist": "Fashion-MNIST"}
CONTROLS = {
    "dinov2_unit_layer_scale": ("control: untrained, LayerScale 1", "--"),
    "dinov2_permuted_permuted": ("control: weights permuted", ":"),
}
NULL = "null: channels permuted"
PANELS = {
    "intensity": "spectral intensity,\nfirst block = 1",
    "intensity_per_rms": "the same over RMS (scale out),\nfirst block = 1",
}
TICKS = (0.5, 1, 2, 5, 10, 20)
COLORS = ("#0173b2", "#de8f05", "#029e73", "#cc78bc")


def main() -> None:
    """Draw both panels and save them."""
    study, out = (*map(Path, sys.argv[1:]), Path("results/real_networks"), Path("docs/images/real_networks.png"))[:2]
    depth = pd.read_parquet(study / "tables/depth.parquet")
    Style("colorblind", 200, Names((NETWORK,), {}, None, {}, {}, ())).apply()
    images = int(depth["images"].max())
    title = f"A DINOv2-type ViT-S/14 compresses and expands, and all of it is scale (n = {images} images a set)"
    note = "Lines: one image set each; bands: 95 % interval over images. Control and null: objects."
    room = Room(left=0.6, gap=0.62, above=0.1, below=0.36, legend=4)
    figure, (panels,) = sheet(1, 2, 2.1, title, note, room)
    for axes, (column, text) in zip(panels, PANELS.items(), strict=True):
        for (probe, name), color in zip(SETS.items(), COLORS, strict=True):
            rows = depth[(depth["network"] == NETWORK) & (depth["probe"] == probe)].sort_values("block")
            mean, half = rows[column], INTERVAL * rows[f"{column}_se"]
            axes.plot(rows["block"], mean / mean.iloc[0], "o-", color=color, label=name, zorder=3)
            low, high = (mean - half) / mean.iloc[0], (mean + half) / mean.iloc[0]
            axes.fill_between(rows["block"], low, high, color=color, alpha=0.25, linewidth=0)
        own = depth[depth["probe"] == "balanced"].sort_values("block")
        for control, (name, line) in CONTROLS.items():
            rows = own[own["network"] == control]
            axes.plot(rows["block"], rows[column] / rows[column].iloc[0], line, color="0.45", label=name)
        if column == "intensity":
            rows = own[own["network"] == NETWORK]
            null = rows["intensity_permuted"] / rows["intensity_permuted"].iloc[0]
            axes.plot(rows["block"], null, "x", color="black", markersize=3.5, label=NULL, zorder=4)
        axes.axhline(1, color="black", linewidth=0.4, zorder=0)
        axes.set(xlabel="block", ylabel=text)
        axes.set_xticks(range(0, 12, 2))
    for axes in panels:
        # One scale, so that what is left without scale can be compared.
        axes.set_yscale("log")
        axes.set_ylim(0.4, 45)
        axes.set_yticks(TICKS, map(str, TICKS))
        axes.yaxis.set_minor_locator(NullLocator())
    legend_below(figure, panels, 4, room.below)
    figure.savefig(out, dpi=200, metadata={"Software": None})


if __name__ == "__main__":
    main()
