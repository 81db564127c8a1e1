"""Panel: similarity of student and teacher blocks, and the pairs that variants align."""

from ...page import charts
from ...page.panel import Chart, PageData, Panel, measure
from . import TITLE

SHOWN = "cka", "untrained_cka", "gain"


def panels(data: PageData) -> list[Panel]:
    """Return the panel on pairs of blocks; none if none were compared."""
    shown = [name for name in SHOWN if data.has("alignment", name)]
    if not shown:
        return []
    about = (
        f"CKA between the blocks of a student trained with {data.names.baseline} and those of the teacher: after "
        "training, before it, and the difference. A variant aligned each framed pair (hover to see which). CKA alone "
        "does not show what aligning does."
    )
    # With several students, the first.
    table = data.tables["alignment"]
    table = table[table["baseline"] == data.names.baseline]
    aligned = table["aligned_by"].fillna("").astype(str)
    table = table[["student_block", "teacher_block", *shown, "cka_seeds"]].assign(
        aligned_by=aligned, aligned=aligned != ""
    )
    columns = {
        "student_block": "student block", "teacher_block": "teacher block", "value": charts.MEASURE,
        "cka_seeds": "seeds", "aligned_by": "aligned by",
    }  # fmt: skip
    x, y = charts.place("x", "teacher_block", "teacher block"), charts.place("y", "student_block", "student block")
    chart = Chart("Pairs of blocks", about, "alignment", charts.heat(x, y, "aligned"), columns, ("measure",))
    controls = (measure(data.meanings("alignment", shown)),)
    return [Panel("alignment", TITLE, (chart,), controls, {"alignment": table}, figures=("alignment",))]
