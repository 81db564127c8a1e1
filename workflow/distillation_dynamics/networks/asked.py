"""What a study asks of its networks before it runs, answered with timm, from a file's header and without its values.

Run as a program, it answers for `facts`, which imports no torch.
"""

import json
import sys
from dataclasses import asdict

import timm

from ..errors import StudyError
from ..spec.base import build as read
from ..spec.base import to_json
from ..spec.images import View
from ..spec.network import Asked, Facts, Model
from .build import describe, unknown
from .controls import first_layer_scale
from .defaults import pretrained_cfg, view_of
from .released import check_header
from .weights_file import is_local, local_weights

REMEDY = "give other weights there, or another model"


def facts_of(asked: Asked) -> Facts:
    """Return what a network is, with what timm says of its weights where the study says nothing.

    Raises StudyError, beginning with the key below that of the network, where timm does not know the model or refuses
    it, where nobody says how it sees images, and where local weights are those of another architecture.
    """
    if not timm.is_model(asked.name):
        raise unknown(asked.name)
    view = view_of(asked)
    classes = _classes_of(asked, view)
    model = _model(asked, classes)
    return Facts(*describe(model, view), view, classes, first_layer_scale(model, view))


def _model(asked: Asked, classes: int) -> Model:
    return Model(asked.name, asked.args, asked.initialisation, classes)


def _classes_of(asked: Asked, view: View) -> int:
    """Return how many classes the head of a network has: as the study says, else as its weights have; 0 for none."""
    given = asked.args.get("num_classes", asked.classes)
    if asked.released is None and given is None:
        raise StudyError(f"model.args: nothing says how many classes {asked.name} tells apart; give num_classes there")
    if asked.released is not None and is_local(asked.released):
        try:
            path = local_weights(asked.released, "")
            found = check_header(path, _model(asked, int(given or 0)), view, REMEDY)
        except StudyError as error:
            said = str(error).removeprefix(".")
            raise StudyError(said if said.startswith(("model.", "weights:")) else f"weights: {said}") from error
        return found if given is None else int(given)
    if given is None:
        given = (pretrained_cfg(asked) or {}).get("num_classes", 0)
    return int(given)


def main() -> None:
    """Print the facts of the networks given by owner as JSON on the command line, as one JSON object."""
    facts = {}
    for owner, asked in json.loads(sys.argv[1]).items():
        try:
            facts[owner] = asdict(facts_of(read(Asked, asked)))
        except StudyError as error:
            raise SystemExit(f"error: {owner}.{' '.join(str(error).split())}") from error
    print(to_json(facts))


if __name__ == "__main__":
    main()
