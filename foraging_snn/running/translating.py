"""A network without spikes beside its translation to spikes: accuracy, spikes and time over the number of steps."""

import time
from dataclasses import dataclass

import numpy as np

from foraging_snn.environments.images import load_images
from foraging_snn.protocols.artificial import Settings, experiment_named
from foraging_snn.running.artificial import Laboratory, one_thread
from foraging_snn.running.errors import RunError


@dataclass(frozen=True)
class Translation:
    """What came out after so many steps.

    Attributes
    ----------
    steps : int
        0: the network without spikes.
    accuracy : float
    agreement : float
        Share of the images for which the choice is that of the network without spikes.
    spikes : float
        Per image, of all cells.
    seconds : float
        Of the processor, for all images.
    """

    steps: int
    accuracy: float
    agreement: float
    spikes: float
    seconds: float


def translated(
    data: str, settings: Settings, steps: int, n_images: int, probability: float, decay: float, seed: int
) -> tuple[list[Translation], Translation]:
    """Train on all classes, translate, and show test images for 1, 2, 5, 10, ... steps, `steps` the last.

    Returns
    -------
    (list of Translation, Translation)
        With spikes, and without.

    Raises
    ------
    NetworkError, ImageError, RunError
    """
    from foraging_snn.models.artificial.spiking import to_spiking
    from foraging_snn.models.artificial.training import choices

    for name, value, low, high in (("--images", n_images, 1, 10**7), ("--steps", steps, 1, 100_000), ("--seed", seed, 0, 2**53)):
        if not low <= value <= high:
            raise RunError(f"{name}: {value} given, allowed is {low} to {high:,}")
    for name, value in (("--probability", probability), ("--decay", decay)):
        if not 0.0 < value <= 1.0:
            raise RunError(f"{name}: {value:g} given, allowed is above 0 to 1")
    images = load_images(data)
    with one_thread():
        network = Laboratory(experiment_named("ann-incremental"), images, settings, seed).trained_on_all()
        pixels, labels = images.test.reshape(len(images.test), -1)[:n_images], images.test_labels[:n_images]
        began = time.process_time()
        expected = choices(network, pixels)
        without = Translation(0, float((expected == labels).mean()), 1.0, 0.0, time.process_time() - began)
    spiking = to_spiking(network, images.train, decay)
    spiking.run(pixels[:1], 1, seed=seed)  # compiled
    rows = []
    for n in _numbers_up_to(steps):
        began = time.process_time()
        found = spiking.run(pixels, n, seed=seed, largest_probability=probability)
        chosen, seconds = found.choices()[-1], time.process_time() - began
        accuracy, agreement = float((chosen == labels).mean()), float((chosen == expected).mean())
        rows.append(Translation(n, accuracy, agreement, float(found.spikes.sum() / len(pixels)), seconds))
    return rows, without


def _numbers_up_to(last: int) -> list[int]:
    """1, 2, 5, 10, 20, ... and the last."""
    numbers = np.outer(10 ** np.arange(6), (1, 2, 5)).ravel()
    return [*numbers[numbers < last].tolist(), last]
