"""Exports a network as ONNX and checks the result; needs the optional extra (`pip install -e '.[onnx]'`)."""

from pathlib import Path
from typing import Any

import onnxruntime
from torch import Tensor, inference_mode, nn
from torch import onnx as exporter

from ..errors import StudyError
from ..files import replacing

# Another runtime sums in another order.
TOLERANCE = 1e-3


def export(network: nn.Module, images: Tensor, path: Path) -> None:
    """Write a network as ONNX for any number of images [N, C, H, W] -> logits [N, K].

    Raises StudyError if ONNX Runtime gives other logits.
    """
    names: dict[str, Any] = {"input_names": ["images"], "output_names": ["logits"]}
    with replacing(path) as temporary:
        axes = {"images": {0: "batch"}, "logits": {0: "batch"}}
        exporter.export(network, (images,), str(temporary), dynamic_axes=axes, dynamo=False, **names)
        session = onnxruntime.InferenceSession(str(temporary), providers=["CPUExecutionProvider"])
        # Tested with another number of images than at export.
        few = images[:-1]
        with inference_mode():
            ours = network(few).numpy()
        (theirs,) = session.run(None, {"images": few.numpy()})
        apart = float(abs(ours - theirs).max())
        if not apart <= TOLERANCE:
            raise StudyError(
                f"ONNX: ONNX Runtime gives logits that differ by {apart:.2g} from the network's; leave ONNX out"
            )
