"""Finds layers that cut an image into patches and leave out part of its border.

They are found by their computation, a convolution over the whole image, whatever the class of layer or network.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from torch import Tensor, nn

from ..errors import StudyError
from ..spec.network import Model


@contextmanager
def leaving_out(network: nn.Module, image_size: int) -> Iterator[list[nn.Conv2d]]:
    """Return the convolutions in the pass made inside, over images of that size, that leave out a border."""
    found: list[nn.Conv2d] = []

    def look(layer: nn.Conv2d, given: tuple[Tensor], made: Tensor) -> None:
        # Overlapping windows (an Inception's first layer) do not cut the image into patches.
        if any(side > step for side, step in zip(layer.kernel_size, layer.stride, strict=True)):
            return
        # Layers that pad before cutting cover the whole image.
        if given[0].shape[-2:] == (image_size, image_size) and min(_ends(layer, *made.shape[-2:])) < image_size:
            found.append(layer)

    with ExitStack() as stack:
        for module in network.modules():
            if isinstance(module, nn.Conv2d):
                stack.enter_context(module.register_forward_hook(look))
        yield found


def left_out(model: Model, image_size: int, layer: nn.Conv2d) -> StudyError:
    """Return the error that names an image size that a convolution does not cover, and one that it does."""
    (rows, columns), steps = layer.kernel_size, layer.stride

    def covers(size: int) -> bool:
        padding = [_side(layer.padding, axis) for axis in (0, 1)]
        places = [(size + 2 * padding[axis] - _reach(layer, axis)) // steps[axis] + 1 for axis in (0, 1)]
        return min(places) > 0 and min(_ends(layer, *places)) >= size

    return _error(model, image_size, f"{rows} x {columns}", covers)


def not_divided(model: Model, image_size: int, patch: int) -> StudyError:
    """Return the error for an image size that is not a multiple of the patches."""
    return _error(model, image_size, f"{patch} x {patch}", lambda size: size % patch == 0)


def _error(model: Model, image_size: int, patch: str, covers: Callable[[int], bool]) -> StudyError:
    below = next((size for size in range(image_size - 1, 0, -1) if covers(size)), None)
    above = next(size for size in range(image_size + 1, 2 * image_size + 1000) if covers(size))
    near = " or ".join(str(size) for size in (below, above) if size)
    return StudyError(
        f"model.args: {model.name} cuts images into patches of {patch} pixels, which do not cover {image_size} (its "
        f"image_size); choose sizes that divide evenly, such as an image_size of {near}"
    )


def _ends(layer: nn.Conv2d, *places: int) -> list[int]:
    """Return the last row and column of the image that a convolution's output covers."""
    return [
        (count - 1) * layer.stride[axis] + _reach(layer, axis) - _side(layer.padding, axis)
        for axis, count in enumerate(places)
    ]


def _reach(layer: nn.Conv2d, axis: int) -> int:
    return layer.dilation[axis] * (layer.kernel_size[axis] - 1) + 1


def _side(padding: str | tuple[int, ...], axis: int) -> int:
    # "same" covers everything.
    return 0 if isinstance(padding, str) else padding[axis]
