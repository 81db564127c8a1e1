"""LaTeX table on similarity of blocks."""

from ...paper.numbers import Stated
from ...paper.tables import Shown
from .answer import nearest_table

TABLES = {
    "nearest": Shown(
        "The block of the teacher {teacher} most like each block of {baseline} (unbiased linear CKA, last epoch). "
        "Gain: CKA minus that of the same student untrained, and that above the other blocks', with 95 % t intervals "
        "over seeds; p: all blocks in one sign-flip test. Similarity does not show that aligning helps.",
        {
            "student block": "student", "nearest teacher block": "teacher", "CKA": "CKA", "CKA before": "before",
            "gain at the nearest": "gain", "gain above the other blocks'": "above the others'", "seeds": "seeds",
            "p": "joint p", "verdict": "verdict",
        },
        "rrrrrrrrp{1.3in}",
        lambda tables, names: nearest_table(tables["nearest"]),
        place=50,
    ),
}  # fmt: skip
NUMBERS = {"nearest": Stated(("student_block",))}
