"""Random pictures as files, .tars and Parquet files, and their splits, for tests of what reads them."""

import io
import tarfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from distillation_dynamics.data.views import make_transform
from distillation_dynamics.spec.data import Arrays, DataJob
from distillation_dynamics.spec.images import Images, Validation, View
from distillation_dynamics.stages import data as stage

HUGGING_FACE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
VIEW = View(3, 32, (0.5,) * 3, (0.5,) * 3, 0.875)
GREY_VIEW = View(1, 28, (0.3,), (0.35,))


def encoded(picture, kind="PNG") -> bytes:
    """A picture as the bytes of a file."""
    buffer = io.BytesIO()
    picture.save(buffer, kind)
    return buffer.getvalue()


def write_parquet(path, labels, size=28, seed=0) -> None:
    """Random grey images, `size` pixels wide and high or (width, height), in Hugging Face layout."""
    generator = np.random.default_rng(seed)
    shape = (size, size) if isinstance(size, int) else size[::-1]
    pictures = [Image.fromarray(generator.integers(0, 256, shape, dtype=np.uint8)) for _ in labels]
    rows = pa.array([{"bytes": encoded(picture), "path": None} for picture in pictures], HUGGING_FACE)
    pq.write_table(pa.table({"image": rows, "label": pa.array(labels, pa.int64())}), path)


def write_pictures(root, names, size=40, seed=0) -> None:
    """Random pictures in colours of these names; what is no .jpg or .png is text."""
    generator = np.random.default_rng(seed)
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        if name.endswith((".jpg", ".png")):
            pixels = generator.integers(0, 256, (size, size + 8, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / name)
        else:
            (root / name).write_text("1")


def make_folder(root, classes=3, images=6, seed=0) -> None:
    """A folder of random pictures, one subfolder a class."""
    write_pictures(root, [f"class{label}/{n}.jpg" for label in range(classes) for n in range(images)], seed=seed)


def as_tar(folder):
    """Pack a folder into one .tar, one file after the other."""
    path = folder.with_suffix(".tar")
    with tarfile.open(path, "w") as tar:
        for below in sorted(folder.iterdir()):
            tar.add(below, below.name)
    return path


def as_tar_of_tars(folder):
    """Pack a folder into a .tar of one .tar a class."""
    path = folder.with_name(f"{folder.name}_by_class.tar")
    with tarfile.open(path, "w") as tar:
        for below in sorted(folder.iterdir()):
            with tarfile.open(below.with_suffix(".tar"), "w") as inner:
                for image in sorted(below.iterdir()):
                    inner.add(image, image.name)
            tar.add(below.with_suffix(".tar"), f"{below.name}.tar")
            below.with_suffix(".tar").unlink()
    return path


def pixels_of(root):
    """Name -> RGB array of all images in a folder."""
    paths = root.rglob("*.jpg")
    return {str(path.relative_to(root)): np.asarray(Image.open(path).convert("RGB")) for path in paths}


HELD_OUT = Validation("test", 2)


def split_into(folder, test, train=None, classes=None, validation=None, view=VIEW) -> Images:
    """Split one or two folders or .tars of images into `folder`; return them as jobs get them."""
    sources = {key: str(path) for key, path in (("train", train), ("test", test)) if path is not None}
    files = {key: (path,) for key, path in sources.items()}
    stage.main(DataJob("folder", classes, validation, {}, False, None, **files, out=str(folder)))
    return Images("key", view, False, folder=str(folder), **sources)


def pack_into(folder, train, test, arrays=True, view=GREY_VIEW, classes=10, validation=HELD_OUT) -> Images:
    """Split two lists of Parquet files into `folder`, decoded with `arrays`; return them as jobs get them."""
    decoded = Arrays.of(view) if arrays else None
    files = {"train": tuple(map(str, train)), "test": tuple(map(str, test))}
    stage.main(DataJob("parquet", classes, validation, {}, True, decoded, **files, out=str(folder)))
    packed = {key: f"{folder}/{key}.bin" for key, there in files.items() if there}
    return Images("key", view, arrays, folder=str(folder), **packed)


def tiny(folder, **options) -> Images:
    """100 and 40 random grey images of ten classes, split into `folder`/data: 80 to train on, 20 held out of them."""
    for key, count in (("train", 100), ("test", 40)):
        write_parquet(folder / f"{key}.parquet", np.arange(count) % 10, seed=count)
    options = {"validation": Validation("train", 2)} | options
    return pack_into(folder / "data", [folder / "train.parquet"], [folder / "test.parquet"], **options)


def check_that_names_tell_pixels_and_labels(split, pixels) -> None:
    """Check each image of a split against `pixels` (name -> RGB array), and its label against its class's folder."""
    names = [name.decode() for name in split.names]
    assert len(set(names)) == len(names) == len(split) > 0
    for position, name in enumerate(names):
        assert split.labels[position] == int(name.removeprefix("class")[0])
        np.testing.assert_array_equal(np.asarray(split.image(position)), pixels[name])
    transform = make_transform(VIEW, None)
    for batch in split.evaluation(4):
        for position, image, label in zip(*batch, strict=True):
            assert label == split.labels[position]
            assert (image == transform(Image.fromarray(pixels[names[position]]))).all()
