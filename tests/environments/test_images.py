"""Images for networks without spikes: where they come from, tasks and shares of them, what is refused."""

import gzip
import struct

import numpy as np
import pytest

from foraging_snn.environments import images as module
from foraging_snn.environments.images import (
    ImageError,
    blurred,
    class_tasks,
    for_choosing,
    from_arrays,
    load_images,
    noisy,
    of_classes,
    read_idx,
    share_of,
    some_of,
    unbalanced,
)

LABELS = np.repeat(np.arange(4), 50)


def idx(array):
    kind = {np.uint8: 0x08, np.int32: 0x0C}[array.dtype.type]
    return (
        struct.pack(f">2xBB{array.ndim}I", kind, array.ndim, *array.shape) + array.astype(array.dtype.newbyteorder(">")).tobytes()
    )


@pytest.fixture
def folder(tmp_path):
    """The four files of MNIST, small and not square, half of them compressed."""
    random = np.random.default_rng(1)
    for name, n in (("train", 20), ("t10k", 8)):
        pixels = random.integers(0, 256, (n, 6, 5)).astype(np.uint8)
        (tmp_path / f"{name}-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(pixels)))
        (tmp_path / f"{name}-labels-idx1-ubyte").write_bytes(idx((np.arange(n) % 4).astype(np.uint8)))
    return tmp_path


def test_a_folder_of_idx_files_is_read(folder):
    found = load_images(str(folder))
    assert (found.shape, found.n_pixels, found.n_classes, len(found.train), len(found.test)) == ((6, 5), 30, 4, 20, 8)
    assert found.train.dtype == np.float32
    assert found.train.max() == 1.0
    assert found.train_labels.tolist() == [0, 1, 2, 3] * 5
    assert found.name == folder.name


def test_numbers_in_idx_files_are_big_endian(tmp_path):
    numbers = np.array([[1, -2, 70000]], np.int32)
    (tmp_path / "numbers").write_bytes(idx(numbers))
    assert read_idx(tmp_path / "numbers").tolist() == numbers.tolist()


def test_the_digits_come_with_scikit_learn():
    found = load_images("digits")
    assert (found.shape, found.n_classes, len(found.train), len(found.test)) == ((8, 8), 10, 1438, 359)
    assert found.sha256 == load_images("digits").sha256
    assert found.sha256 != for_choosing(found).sha256


def test_images_to_choose_hyperparameters_on_are_training_images_only():
    found = load_images("digits")
    chosen = for_choosing(found)
    assert len(chosen.train) + len(chosen.test) == len(found.train)
    training = {image.tobytes() for image in found.train}
    assert {image.tobytes() for image in chosen.train} | {image.tobytes() for image in chosen.test} == training


def test_tasks_are_classes_in_ascending_order():
    assert class_tasks(10, 2) == ((0, 1), (2, 3), (4, 5), (6, 7), (8, 9))
    assert of_classes(LABELS, (1, 3))[[0, 49, 50]].tolist() == [50, 99, 150]
    for each in (0, 3, 10):
        with pytest.raises(ImageError, match="classes per task given for 10 classes"):
            class_tasks(10, each)


def test_a_share_has_the_same_share_of_every_class_and_one_image_at_least():
    assert np.bincount(LABELS[share_of(LABELS, 0.1, 1)]).tolist() == [5, 5, 5, 5]
    assert np.bincount(LABELS[share_of(LABELS, 0.001, 1)]).tolist() == [1, 1, 1, 1]
    assert np.bincount(LABELS[unbalanced(LABELS, {0: 0.1, 2: 0.5}, 1)]).tolist() == [5, 50, 25, 50]
    assert share_of(LABELS, 0.1, 1).tolist() != share_of(LABELS, 0.1, 2).tolist()
    assert some_of(np.arange(9), None, 1).tolist() == list(range(9))
    assert len(set(some_of(np.arange(9), 4, 1).tolist())) == 4
    for share in (0.0, 1.1, float("nan")):
        with pytest.raises(ImageError, match="share: "):
            share_of(LABELS, share, 1)


def test_blur_and_noise_are_as_wide_as_asked_for():
    point = np.zeros((1, 21, 21), np.float32)
    point[0, 10, 10] = 1.0
    wide = blurred(point, 2.0)[0]
    distance = np.arange(21) - 10.0
    assert wide.sum() == pytest.approx(1.0, rel=1e-4)
    assert (wide.sum(axis=0) * distance**2).sum() == pytest.approx(4.0, rel=0.02)
    grey = np.full((100, 20, 20), 0.5, np.float32)
    assert noisy(grey, 0.1, 1).std() == pytest.approx(0.1, rel=0.02)
    assert noisy(grey, 2.0, 1).min() == 0.0


def damaged(folder, name, data):
    (folder / name).unlink()
    (folder / name).write_bytes(data)


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("train-labels-idx1-ubyte", b"", "not an IDX file"),
        ("train-labels-idx1-ubyte", b"\0\0\x08\x01\0\0\0\x14abc", "damaged: holds 3 bytes, its head says 20, 20 bytes"),
        ("train-labels-idx1-ubyte", b"\0\0\x08\x04" + b"\xff" * 16, "damaged: holds 0 bytes"),
        ("train-images-idx3-ubyte.gz", b"\x1f\x8bno", "damaged: "),
        ("t10k-labels-idx1-ubyte", idx(np.zeros(7, np.uint8)), "7 labels given for 8 images"),
        ("t10k-labels-idx1-ubyte", idx(np.zeros(8, np.uint8)), "class 1 is missing in training or test"),
    ],
)
def test_a_corrupt_file_is_named_in_one_line(folder, name, data, said):
    damaged(folder, name, data)
    with pytest.raises(ImageError) as error:
        load_images(str(folder))
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_file_is_named(folder):
    (folder / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(ImageError, match="no t10k-labels-idx1-ubyte or t10k-labels-idx1-ubyte.gz in it"):
        load_images(str(folder))


def test_images_that_are_not_there_are_answered_with_how_to_get_them(monkeypatch, tmp_path):
    monkeypatch.setattr(module, "FASHION_MNIST_FOLDER", tmp_path / "nowhere")
    with pytest.raises(ImageError, match="apt install dataset-fashion-mnist"):
        load_images("fashion-mnist")
    with pytest.raises(ImageError, match="'letters': unknown images, allowed are digits, mnist-5000, fashion-mnist"):
        load_images("letters")


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ((np.zeros((4, 3, 3, 3)), np.zeros(4)), "images of shape (4, 3, 3, 3) given"),
        ((np.full((4, 3), np.nan), np.zeros(4)), "no finite numbers"),
        ((np.full((4, 3), -1.0), np.zeros(4)), "negative"),
        ((np.ones((4, 3)), np.zeros(3)), "3 labels given for 4 images"),
        ((np.ones((4, 3)), np.array([0, 1, np.nan, 1])), "a label is missing"),
        ((np.ones((4, 3)), np.array([0, 1, 0.5, 1])), "labels that are no classes"),
        ((np.ones((4, 3)), np.array([0, -1, 0, 1])), "labels that are no classes"),
        ((np.ones((4, 3)), np.zeros(4), np.ones((4, 3))), "test labels are missing"),
        ((np.ones((4, 3)), np.zeros(4), np.ones((4, 2)), np.zeros(4)), "allowed is one size"),
    ],
)
def test_arrays_that_are_no_labelled_images_are_refused(arrays, said):
    with pytest.raises(ImageError) as error:
        from_arrays("mine", *arrays)
    assert said in str(error.value)


def test_features_are_images_of_one_row():
    found = from_arrays("mine", np.arange(20.0).reshape(10, 2), np.arange(10) % 2, np.ones((4, 2)), [0, 1, 0, 1])
    assert (found.shape, found.n_classes) == ((1, 2), 2)
