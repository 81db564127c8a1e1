"""Whether a network sees an image to its border: layers that cut it into patches may leave out what is behind the last.

A layer is told by what it does: a convolution over the whole image, whatever class or network it belongs to.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from torch import Tensor, nn

from ..errors import StudyError
from ..spec.network import Model


@contextmanager
def leaving_out(network: nn.Module, image_size: int) -> Iterator[list[nn.Conv2d]]:
    """Return the convolutions over images of that size, in the pass made inside, that leave out a border of them."""
    found: list[nn.Conv2d] = []

    def look(layer: nn.Conv2d, given: tuple[Tensor], made: Tensor) -> None:
        # What overlaps (an Inception's first layer) is no cut into patches.
        if any(side > step for side, step in zip(layer.kernel_size, layer.stride, strict=True)):
            return
        # What pads by itself before it cuts makes as many places as cover the image.
        if given[0].shape[-2:] == (image_size, image_size) and min(_ends(layer, *made.shape[-2:])) < image_size:
            found.append(layer)

    with ExitStack() as stack:
        for module in network.modules():
            if isinstance(module, nn.Conv2d):
                stack.enter_context(module.register_forward_hook(look))
        yield found


def left_out(model: Model, image_size: int, layer: nn.Conv2d) -> StudyError:
    """Return the error that names a size of images to the border of which a convolution looks."""
    (rows, columns), steps = layer.kernel_size, layer.stride

    def covers(size: int) -> bool:
        padding = [_side(layer.padding, axis) for axis in (0, 1)]
        places = [(size + 2 * padding[axis] - _reach(layer, axis)) // steps[axis] + 1 for axis in (0, 1)]
        return min(places) > 0 and min(_ends(layer, *places)) >= size

    return _error(model, image_size, f"{rows} x {columns}", covers)


def not_divided(model: Model, image_size: int, patch: int) -> StudyError:
    """Return the error for a size that a network refuses since its patches do not divide it."""
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
    """Return rows and columns of the image up to which so many places of a convolution reach."""
    return [
        (count - 1) * layer.stride[axis] + _reach(layer, axis) - _side(layer.padding, axis)
        for axis, count in enumerate(places)
    ]


def _reach(layer: nn.Conv2d, axis: int) -> int:
    return layer.dilation[axis] * (layer.kernel_size[axis] - 1) + 1


def _side(padding: str | tuple[int, ...], axis: int) -> int:
    # "same" covers all.
    return 0 if isinstance(padding, str) else padding[axis]
