"""Makes image sets of studies/real_networks.yaml from Debian packages: 64 objects, 64 textures and 64 drawings.

    apt-get download tuxpaint-stamps-default openarena-081-textures openclipart-png
    for package in *.deb; do dpkg-deb -x $package packages; done
    python benchmarks/image_sets.py packages data

Pictures of 128 to 3,000 pixels, evenly spread over their sorted paths, so that the same packages give the same sets.
"""

import io
import sys
import warnings
import zipfile
from pathlib import Path

from PIL import Image

IMAGES, SMALLEST, LARGEST = 64, 128, 3000
DRAWN = ("animals", "food", "people", "recreation", "tools", "transportation")


def usable(picture: Path) -> bool:
    """Whether a picture has a usable size."""
    try:
        with Image.open(picture) as image:
            return min(image.size) >= SMALLEST and max(image.size) <= LARGEST
    except Image.DecompressionBombError:
        return False


def spread(paths: list[Path]) -> list[Path]:
    """Return as many paths as are wanted, evenly spread over all in their order."""
    return [paths[number * len(paths) // IMAGES] for number in range(IMAGES)]


def unpacked(packages: Path) -> list[Path]:
    """Return the textures of OpenArena, as PNG beside its archives."""
    for archive in sorted(packages.rglob("*.pk3")):
        with zipfile.ZipFile(archive) as files:
            for name in files.namelist():
                if name.startswith("textures/") and name.lower().endswith((".jpg", ".tga")):
                    target = (
                        archive.parent / "unpacked" / f"{Path(name).with_suffix('').as_posix().replace('/', '_')}.png"
                    )
                    target.parent.mkdir(exist_ok=True)
                    Image.open(io.BytesIO(files.read(name))).convert("RGB").save(target)
    return sorted(packages.rglob("unpacked/*.png"))


def main() -> None:
    """Write the three folders."""
    warnings.simplefilter("ignore", Image.DecompressionBombWarning)
    packages, target = map(Path, sys.argv[1:3])
    drawings = [path for kind in DRAWN for path in packages.rglob(f"openclipart/png/{kind}/**/*.png")]
    sets = {
        "objects": sorted(packages.rglob("tuxpaint/stamps/**/*.png")),
        "textures": unpacked(packages),
        "drawings": sorted(drawings),
    }
    for name, paths in sets.items():
        folder = target / name
        folder.mkdir(parents=True)
        for number, path in enumerate(spread([path for path in paths if usable(path)])):
            (folder / f"{number:02d}_{path.name}").write_bytes(path.read_bytes())
        print(f"{folder}: {IMAGES} of {len(paths)} pictures")


if __name__ == "__main__":
    main()
