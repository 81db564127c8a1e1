"""Changes of code that leave what jobs write as it was, so that finished results stay valid.

A definition counts by its meaning (`meaning`), and a training that reaches it is due when it changes. Those here were
changed so that with all settings of before they write the same bits, which tests show. Each has two hashes: that of its
meaning now, and the one by which it counts, '' where it was not there before. An entry holds for the code that it was
written for: a definition that changes again counts by its own meaning, and its entry is taken out.
"""

# module:definition -> its meaning now, the meaning by which it counts.
UNCHANGED: dict[str, tuple[str, str]] = {
    # Teachers answer in bfloat16 where a study says so (`compute.teacher.precision`), which is in the keys of its jobs.
    "networks.device:check_precision": ("d8a334f100b9", ""),
    "spec.teacher_outputs:TeacherSource": ("3d4119cca36a", "2f9bb19595a4"),
    "spec.teacher_outputs:TeacherOutputsJob": ("49ba55c4ebc0", "af8c678b8cd3"),
    "stages.cohorts:_teacher": ("b5c2468ab72c", "14f9bc13e0c1"),
    "stages.cohorts:_write": ("5a7471de90d2", "97402effbce4"),
    "stages.teacher_outputs:write": ("7276c834bf3a", "ecd307aa30d1"),
    "stages.teacher_outputs:main": ("48ecae74cf31", "de69535c4b2a"),
    "training.teacher:TOLERANCES": ("dead9e374d0b", ""),
    "training.teacher:OnlineTeacher": ("6f5b6e1791ca", "c8d11bca3b35"),
    "training.teacher:CachedTeacher": ("28bbccfd3902", "69a6e1789792"),
    "training.teacher:say_in": ("3cf8121b6df4", ""),
    "training.teacher:answers": ("ab35bc4b2d07", "f49c70950d2d"),
}


def counted(module: str, definition: str, meaning: str) -> str:
    """Return the hash by which a definition with a meaning counts; '' for nothing."""
    now, before = UNCHANGED.get(f"{module}:{definition}", (meaning, meaning))
    return before if meaning == now else meaning
