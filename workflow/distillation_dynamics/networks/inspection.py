"""Answers a study's questions on its networks before it runs, from timm and file headers, without weights.

Run as a program, it answers for `model_info`, which imports no torch.
"""

import json
import sys
from dataclasses import asdict, replace

import timm

from ..errors import StudyError
from ..spec.base import build as read
from ..spec.base import to_json
from ..spec.images import View
from ..spec.network import Model, ModelInfo, ModelQuery
from .beside import other_activation
from .build import describe, unknown
from .controls import first_layer_scale
from .defaults import config_beside, pretrained_cfg, size_is_said, view_of
from .positions import own_side, trained_side
from .protocol import check
from .released import check_header
from .weights_file import is_local, local_weights

REMEDY = "give other weights there, or another model"


def info_of(query: ModelQuery) -> ModelInfo:
    """Return a network's properties, with timm's defaults where the study sets nothing.

    Raises StudyError, beginning with the key below the network's, if timm does not know or refuses the model, its view
    is unknown, or local weights belong to another architecture.
    """
    if not timm.is_model(query.name):
        raise unknown(query.name)
    config = {} if query.released is None else config_beside(query.released)
    if "act_layer" not in query.args and (said := other_activation(config, query.name)):
        raise StudyError(f"model.name: {said}")
    view = view_of(query)
    classes, note = _classes_of(query, view)
    model = _model(query, classes)
    if model.architecture:
        # Faults of the model itself are reported as such.
        describe(replace(model, architecture={}), view)
        note = check(model, view)
    parameters, size, footprint = describe(model, view)
    own = own_side(model, view)
    side = None
    if query.released is not None and own is None:
        side = trained_side(query, model, view, size, pretrained_cfg(query) or {})
    if side is not None and side != size.blocks[0].rows and not size_is_said(query):
        # A model may have weights of several sizes, of which timm describes one.
        view = replace(view, image_size=view.image_size * side // size.blocks[0].rows)
        parameters, size, footprint = describe(model, view)
    rows = size.blocks[0].rows
    side = own or side
    resampled = None if side in (None, rows) else (side, rows)
    return ModelInfo(parameters, size, view, first_layer_scale(model, view), note, resampled, footprint)


def _model(query: ModelQuery, classes: int) -> Model:
    return Model(query.name, query.args, query.initialisation, classes, query.architecture)


def _classes_of(query: ModelQuery, view: View) -> tuple[int, str | None]:
    """Return the number of classes of a network's head, from the study or the weights; 0 without a head.

    Also returns how the names in local weights are read.
    """
    given = query.args.get("num_classes", query.classes)
    if query.released is None and given is None:
        raise StudyError(f"model.args: the number of classes of {query.name} is unknown; give num_classes there")
    if query.architecture and given is None:
        raise StudyError(
            f"model.args: the number of classes of {query.name} with another architecture is unknown; give "
            "num_classes there"
        )
    if query.released is not None and is_local(query.released):
        try:
            path = local_weights(query.released, "")
            found, note = check_header(path, _model(query, int(given or 0)), view, REMEDY)
        except StudyError as error:
            said = str(error).removeprefix(".")
            raise StudyError(said if said.startswith(("model.", "weights:")) else f"weights: {said}") from error
        return found if given is None else int(given), note
    if given is None:
        given = (pretrained_cfg(query) or {}).get("num_classes", 0)
    return int(given), None


def main() -> None:
    """Print the ModelInfo of the networks on the command line (JSON by owner) as one JSON object."""
    found = {}
    for owner, query in json.loads(sys.argv[1]).items():
        try:
            found[owner] = asdict(info_of(read(ModelQuery, query)))
        except StudyError as error:
            raise SystemExit(f"error: {owner}.{' '.join(str(error).split())}") from error
    print(to_json(found))
