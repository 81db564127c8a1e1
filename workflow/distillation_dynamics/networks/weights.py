"""Weights of a network made by this study: saved whole, loaded exactly."""

from pathlib import Path

from safetensors.torch import load_file, save
from torch import Tensor, nn

from ..errors import StudyError
from ..files import replacing, sha256
from .weights_file import check_safetensors

# Remedy for a damaged result.
MAKE_AGAIN = "delete it and run the same command again"


def save_weights(path: str | Path, network: nn.Module) -> None:
    """Write a module's parameters and buffers as safetensors, whole or not at all."""
    state = {name: value.contiguous() for name, value in network.state_dict().items()}
    with replacing(path) as temporary:
        temporary.write_bytes(save(state))


def load_weights(
    path: str | Path, network: nn.Module, expected_sha256: str | None = None, remedy: str = MAKE_AGAIN
) -> None:
    """Load safetensors into `network`; every name and shape must match, every value be finite (float16, bfloat16:
    widened).

    Raises StudyError with `remedy` if the file is missing, damaged, not the expected one, or of another model.
    """
    state = read_weights(path, expected_sha256, remedy)
    check_state(path, state, network, remedy)
    network.load_state_dict(state, strict=True)
    check_finite(path, network, remedy)


def read_weights(path: str | Path, expected_sha256: str | None, remedy: str) -> dict[str, Tensor]:
    """Return the tensors of a safetensors file by name.

    Raises StudyError with `remedy` if the file is missing, damaged or not the expected one.
    """
    if not Path(path).is_file():
        raise StudyError(f"{path}: no such weights file")
    if expected_sha256 is not None and (found := sha256(path)) != expected_sha256:
        raise StudyError(f"{path}: its sha256 is {found}, but the configuration expects {expected_sha256}")
    check_safetensors(path, remedy)
    return load_file(path)


def check_finite(path: str | Path, network: nn.Module, remedy: str) -> None:
    """Raise StudyError with `remedy` if weights loaded from `path` hold NaN or infinity."""
    for name, value in network.state_dict().items():
        if not value.isfinite().all():
            raise StudyError(f"{path}: {name} holds values that are not finite numbers (NaN or infinity); {remedy}")


def check_state(path: str | Path, state: dict[str, Tensor], network: nn.Module, remedy: str) -> None:
    """Raise StudyError with `remedy` if a file's tensors differ from a network's in name, shape or type."""
    if (said := _misfit(state, network.state_dict())) is not None:
        raise StudyError(f"{path}: does not fit the model in the configuration ({said}); {remedy}")


def _misfit(state: dict[str, Tensor], wanted: dict[str, Tensor]) -> str | None:
    """Return how weights differ from a model's; None if they match."""
    for difference, names in (("lacks", wanted.keys() - state.keys()), ("has too", state.keys() - wanted.keys())):
        if names:
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            return f"it {difference} {min(names)}{more}"
    for name, value in state.items():
        if value.shape != wanted[name].shape:
            return f"{name} has shape {list(value.shape)}, the model {list(wanted[name].shape)}"
        if value.is_floating_point() != wanted[name].is_floating_point():
            return f"{name} holds {value.dtype}, the model {wanted[name].dtype}"
    return None
