"""Released weights of a network: fetched once as safetensors, with a note of their origin.

In: `hf-hub:owner/name@revision` or `local-dir:folder`. Out: `model.safetensors` and `source.json`. Imports no torch.
"""

import shutil
from pathlib import Path

from huggingface_hub import hf_hub_download
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, RepositoryNotFoundError

from ..errors import StudyError
from ..files import replacing, sha256, write_json
from ..networks.weights_file import NAME, check_safetensors, is_local, local_weights, other_weights
from ..spec.networks import WeightsJob


def fetch(source: str, out: str | Path, expected_sha256: str | None, owner: str) -> None:
    """Copy the weights of `hf-hub:owner/name@revision` or `local-dir:folder` to `out`, with a note.

    Raises StudyError with keys of `owner` if they are unavailable or not the expected ones. Only safetensors are
    read; nothing is unpickled.
    """
    kind, _, name = source.partition(":")
    revision = None
    if is_local(source):
        path = local_weights(source, owner)
    else:
        name, _, revision = name.partition("@")
        try:
            path = Path(hf_hub_download(name, NAME, revision=revision))
        except LocalEntryNotFoundError as error:
            raise StudyError(
                f"{owner}.weights: the hub cannot be reached for {name}@{revision}; download it on a "
                "machine with internet access, or copy the folder and use local-dir:"
            ) from error
        except (HfHubHTTPError, RepositoryNotFoundError, OSError) as error:
            reason = str(error).splitlines()[0]
            raise StudyError(
                f"{owner}.weights: {name}@{revision} has no {NAME} to download ({reason}); pickles are not read"
            ) from error
    check_safetensors(path, other_weights(owner))
    digest = sha256(path)
    if expected_sha256 is not None and digest != expected_sha256:
        raise StudyError(f"{owner}.sha256: {source} has sha256 {digest}, but {expected_sha256} is expected")
    out = Path(out)
    with replacing(out / NAME) as temporary:
        shutil.copyfile(path, temporary)
    write_json(out / "source.json", {"source": kind, "name": name, "revision": revision, "sha256": digest})


def main(job: WeightsJob, gpus: int = 0) -> None:
    """Fetch the weights."""
    fetch(job.source, job.out, job.sha256, f"networks.{job.name}")
