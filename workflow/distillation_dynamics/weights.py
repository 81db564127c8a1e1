"""Files of weights from elsewhere: safetensors alone, told apart from what is none before anything is loaded.

Imports no torch.
"""

from pathlib import Path

from .errors import StudyError

NAME = "model.safetensors"
LOCAL = "local-dir:"
PICKLES = {".pth", ".pt", ".bin", ".ckpt", ".pkl"}
# The remedy where a fault is not that of a result.
OTHER_WEIGHTS = "the fault is in what teacher.weights names: give other weights there"
# How a zip archive begins, which torch.save writes, and a pickle.
MAGIC = (b"PK\x03\x04", b"\x80")


def local_weights(source: str) -> Path:
    """Return the weights file of `local-dir:folder`; raise StudyError where the folder has none."""
    folder = Path(source.removeprefix(LOCAL))
    path = folder / NAME
    if path.is_file():
        return path
    pickles = sorted(other for other in folder.glob("*") if other.suffix in PICKLES)
    reason = f"; {_not_read(pickles[0], path)}" if pickles else ""
    raise StudyError(f"teacher.weights: {path} does not exist; {source} must hold a {NAME}{reason}")


def check_safetensors(path: str | Path, remedy: str) -> None:
    """Raise StudyError with `remedy` where a file is not whole safetensors, as far as its header tells."""
    from safetensors import SafetensorError, safe_open

    try:
        with open(path, "rb") as file:
            begin = file.read(9)
    except OSError as error:
        raise StudyError(f"{path}: cannot be read ({error.strerror}); {remedy}") from error
    # Of safetensors the first 8 bytes are a number, and may be any; then JSON begins.
    if begin.startswith(MAGIC) and begin[8:] != b"{":
        raise StudyError(f"{path}: {_not_read(path, Path(path).with_suffix('.safetensors'))}")
    try:
        with safe_open(path, framework="numpy") as file:
            file.keys()
    except (SafetensorError, OSError) as error:
        raise StudyError(f"{path}: not a whole safetensors file ({error}); {remedy}") from error


def _not_read(path: str | Path, converted: Path) -> str:
    """Return why a pickle is not read, and the command that converts it."""
    convert = (
        f"import torch, safetensors.torch as s; w = torch.load(open('{path}', 'rb'), 'cpu', weights_only=True); "
        f"s.save_file(w.get('state_dict', w.get('model', w)), '{converted}')"
    )
    return f'{Path(path).name} is a pickle, which is not read, since it can run code; convert it: python -c "{convert}"'
