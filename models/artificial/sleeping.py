"""Sleep of networks without spikes: the same weights in spiking cells, driven by noise, changed by a local Hebbian rule.

Sleep replay consolidation (Tadros, Krishnan, Ramyaa & Bazhenov, Nat Commun 13: 7742, 2022), with the constants and the order of
operations of the authors' program (tmtadros/SleepReplayConsolidation). What a step is, docs/sleep_without_spikes.md says.
Of the images that were seen, sleep uses the mean, and the largest activity that they cause in each layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING

import numpy as np

from foraging_snn.environments.draws import Stream, integer, stream_key, uniform
from foraging_snn.environments.jit import cached_njit
from foraging_snn.models.artificial import NetworkError
from foraging_snn.models.artificial.network import Layer, activities, check_images, layers_of, with_weights

if TYPE_CHECKING:
    from torch.nn import Sequential  # pyright: ignore[reportMissingImports] - an extra

STEP_SECONDS = 0.001
DECAY = 0.999  # of the membrane potential in a step
WEIGHT_SCALE = 0.001  # of the weight in g(W) = 2 / (1 + exp(W / scale))
MAX_STEPS = 10_000_000
BATCH = 1000  # images at a time, where activities are computed


@dataclass(frozen=True)
class SleepParameters:
    """Constants of a sleep.

    Parameters
    ----------
    rate : float
        r: a pixel of value m spikes with probability 2 r m (1 ms) in a step, spikes/s.
    increase, decrease : float
        inc, dec: largest change of a weight whose postsynaptic cell spikes, if the presynaptic one spikes, and if it does not.
    thresholds : tuple of float
        beta: of the layers from the first hidden one to the output.
    scale : float
        a: of the weights, beside the data-based factor of their layer.
    window : int or None
        Side of the square that is open at a step, pixels; None: all of the image.
    """

    rate: float
    increase: float
    decrease: float
    thresholds: tuple[float, ...]
    scale: float
    window: int | None = None

    def __post_init__(self) -> None:
        numbers = {field.name: getattr(self, field.name) for field in fields(self)}
        thresholds, window = numbers.pop("thresholds"), numbers.pop("window")
        for name, value in (numbers | {f"threshold {k}": value for k, value in enumerate(thresholds, 1)}).items():
            if not 0.0 <= value < float("inf"):
                raise NetworkError(f"sleep: {name} {value:g} given, allowed is a number from 0 on")
        if window is not None and window < 1:
            raise NetworkError(f"sleep: window {window} given, allowed is a number of pixels from 1 on")

    def as_numbers(self) -> dict[str, float | tuple[float, ...] | int | None]:
        """By name, for files and tables."""
        return asdict(self)


# Found by a genetic search in the authors' work; the window is that of their program's loop, one wider than the text's.
MNIST = SleepParameters(239.515363, 0.032064, 0.003344, (14.548273, 44.560317, 38.046326), 55.882454, 11)
FASHION_MNIST = SleepParameters(181.047258, 0.041001, 0.003344, (40.446884, 27.596929, 33.109393), 31.592987, 11)


@dataclass(frozen=True)
class SleepRecord:
    """What happened in a sleep.

    Attributes
    ----------
    steps : int
    spikes : tuple of (n,) int64
        Spikes of every cell, of the input and of each layer.
    factors : (layers,) float64
        Data-based factors of the layers, k.
    snapshot_steps : tuple of int
        Steps after which weights were kept.
    snapshots : tuple of tuple of (n, n_before) float64
        The weights of all layers then.
    """

    steps: int
    spikes: tuple[np.ndarray, ...]
    factors: np.ndarray
    snapshot_steps: tuple[int, ...] = ()
    snapshots: tuple[tuple[np.ndarray, ...], ...] = ()

    @property
    def share_spiking(self) -> tuple[float, ...]:
        """Mean share of the cells of the input and of each layer that spike in a step."""
        return tuple(float(counts.sum() / (self.steps * len(counts))) for counts in self.spikes)


def sleep(
    network: Sequential,
    images_or_rate: np.ndarray | float,
    steps: int,
    *,
    parameters: SleepParameters,
    seed: int,
    image_shape: tuple[int, int] | None = None,
    snapshots: Sequence[int] = (),
) -> tuple[Sequential, SleepRecord]:
    """Let a network sleep.

    Parameters
    ----------
    network : torch.nn.Sequential
        See :func:`foraging_snn.models.artificial.network.layers_of`. It stays as it is.
    images_or_rate : (n_images, ...) array_like or float
        The images seen so far, of which sleep uses the mean (and data-based factors the largest activity); or one value for all
        pixels, with which noise of one rate drives the network and the factors follow from the weights alone: the control
        without data.
    steps : int
        Of 1 ms.
    parameters : SleepParameters
    seed : int
        All draws follow from it: one seed, one slept network, bit for bit.
    image_shape : (rows, columns), optional
        Of a window; that of the images if they are (n_images, rows, columns), otherwise a square is assumed.
    snapshots : sequence of int
        Steps after which weights are kept, ascending.

    Returns
    -------
    (torch.nn.Sequential, SleepRecord)
        A slept copy, and what happened.

    Raises
    ------
    NetworkError
        One line: the network, the images or a parameter is not allowed.
    """
    layers = layers_of(network)
    factors, drive, shape = _drive(layers, images_or_rate, parameters, image_shape)
    weights, record = sleep_weights(layers, drive, shape, factors, steps, parameters, seed, snapshots)
    return with_weights(network, weights), record


def _drive(
    layers: Sequence[Layer], images_or_rate: np.ndarray | float, parameters: SleepParameters, image_shape: tuple[int, int] | None
) -> tuple[np.ndarray, np.ndarray, tuple[int, int]]:
    n_input = layers[0].weights.shape[1]
    given = np.asarray(images_or_rate, np.float64)
    if given.ndim == 0:
        if not 0.0 <= given <= 1.0:
            raise NetworkError(f"rate: {float(given):g} given, allowed is the value of all pixels, 0 to 1")
        images = None
        mean = np.full(n_input, float(given))
    else:
        image_shape = image_shape or (given.shape[1:] if given.ndim == 3 else None)
        images = check_images(layers, given)
        mean = images.mean(axis=0)
    return applied_factors(layers, images), mean, _shape(n_input, image_shape, parameters.window)


def _shape(n_input: int, image_shape: tuple[int, int] | None, window: int | None) -> tuple[int, int]:
    if window is None:
        return 1, n_input
    side = round(n_input**0.5)
    rows, columns = image_shape or (side, side)
    if rows * columns != n_input:
        given = f"{rows} x {columns}" if image_shape else "no shape"
        raise NetworkError(
            f"image_shape: {given} given for {n_input} pixels, allowed is rows x columns of the images, or no window"
        )
    if window > min(rows, columns):
        raise NetworkError(f"sleep: window {window} given, allowed is 1 to {min(rows, columns)}, the shorter side of the images")
    return rows, columns


def largest_values(layers: Sequence[Layer], images: np.ndarray | None) -> np.ndarray:
    """Of each layer, its largest weight or its largest activity on some images, whichever is larger, (layers,)."""
    largest = np.array([max(0.0, layer.weights.max()) for layer in layers])
    for part in [] if images is None else (images[k : k + BATCH] for k in range(0, len(images), BATCH)):
        found = [values.max() for values in activities(layers, part)]
        largest = np.maximum(largest, found)
    if dead := [k for k, value in enumerate(largest, 1) if not value > 0.0]:
        raise NetworkError(f"network: layer {dead[0]} has no positive weight, so that none of its cells can spike")
    return largest


def applied_factors(layers: Sequence[Layer], images: np.ndarray | None) -> np.ndarray:
    """Data-based factors k of the layers as sleep applies them, (layers,): k_1 = 1 / m_1, k_l = 1 / (k_{l-1} m_l).

    m are the :func:`largest_values`. That is the recursion of the program of Diehl et al. (dannyneil/spiking_relu_conversion),
    which the authors of sleep use. The text of Diehl et al. (IJCNN 2015, algorithm 2) has k_l = m_{l-1} / m_l; so has
    :func:`foraging_snn.models.artificial.spiking.to_spiking`.
    """
    factors = []
    previous = 1.0
    for largest in largest_values(layers, images):
        factors.append(previous / largest)
        previous = 1.0 / factors[-1]
    return np.array(factors)


def sleep_weights(
    layers: Sequence[Layer],
    drive: np.ndarray,
    shape: tuple[int, int],
    factors: np.ndarray,
    steps: int,
    parameters: SleepParameters,
    seed: int,
    snapshots: Sequence[int] = (),
) -> tuple[list[np.ndarray], SleepRecord]:
    """The same on arrays.

    Parameters
    ----------
    drive : (n_input,) float64
        The mean image m.
    shape : (rows, columns)
        Of the image, if there is a window.
    factors : (layers,) float64
        k.

    Returns
    -------
    (list of (n, n_before) float64, SleepRecord)
        The weights after the sleep, and what happened.
    """
    _check(layers, steps, parameters, snapshots)
    before_to_after = [np.ascontiguousarray(layer.weights.T) for layer in layers]
    sizes = np.array([len(drive), *(len(layer.weights) for layer in layers)], np.int64)
    offsets = np.concatenate(([0], np.cumsum(sizes)))
    counts = np.zeros(offsets[-1], np.int64)
    potentials = np.zeros(offsets[-1])
    flat = np.concatenate([weights.ravel() for weights in before_to_after])
    probabilities = 2.0 * STEP_SECONDS * parameters.rate * np.asarray(drive, np.float64)
    alphas, thresholds = parameters.scale * factors, np.array(parameters.thresholds)
    window = 0 if parameters.window is None else parameters.window
    kept: list[tuple[np.ndarray, ...]] = []
    done = 0
    for stop in [*snapshots, steps]:
        arguments = (flat, sizes, potentials, counts, probabilities, shape[0], shape[1], window, alphas, thresholds)
        _run(*arguments, parameters.increase, parameters.decrease, POWERS, np.uint64(seed), done, stop)
        done = stop
        kept.append(tuple(_unpacked(flat, sizes)))
    spikes = tuple(counts[offsets[k] : offsets[k + 1]].copy() for k in range(len(sizes)))
    record = SleepRecord(steps, spikes, factors, tuple(snapshots), tuple(kept[:-1]))
    return list(kept[-1]), record


def _check(layers: Sequence[Layer], steps: int, parameters: SleepParameters, snapshots: Sequence[int]) -> None:
    if not 1 <= steps <= MAX_STEPS:
        raise NetworkError(f"steps: {steps} given, allowed is 1 to {MAX_STEPS:,}")
    if len(parameters.thresholds) != len(layers):
        raise NetworkError(f"sleep: {len(parameters.thresholds)} thresholds given, allowed is one for each of {len(layers)} layers")
    if any(not 1 <= step <= steps for step in snapshots) or list(snapshots) != sorted(set(snapshots)):
        raise NetworkError(f"snapshots: {list(snapshots)} given, allowed are steps from 1 to {steps}, ascending")


def _unpacked(flat: np.ndarray, sizes: np.ndarray) -> list[np.ndarray]:
    weights, at = [], 0
    for before, size in zip(sizes[:-1].tolist(), sizes[1:].tolist(), strict=True):
        weights.append(np.ascontiguousarray(flat[at : at + before * size].reshape(before, size).T))
        at += before * size
    return weights


# --------------------------------------------------------------------------------------------------------------------- kernel
# Every operation is rounded for itself and has one place, so that the bits do not depend on the processor (docs/conventions.md).
# That goes for exp, too: that of the C library is not the same everywhere.

LOG2_E = 1.4426950408889634
LN2_HIGH = 0.693147180369123816490  # its last bits are zero: k * LN2_HIGH is exact for the k that occur
LN2_LOW = 1.90821492927058770002e-10
LARGEST_EXPONENT = 700.0
POWERS = 2.0 ** np.arange(-1020.0, 1021.0)  # of two
ZERO_POWER = 1020
INVERSE_FACTORIALS = tuple(1.0 / value for value in (1, 1, 2, 6, 24, 120, 720, 5040, 40320, 362880, 3628800, 39916800, 479001600))
C = INVERSE_FACTORIALS


@cached_njit
def _exp(x, powers):
    """exp(x) to a few units of the last place, by a Taylor polynomial within half a factor of two; beyond |x| = 700 as there."""
    x = min(max(x, -LARGEST_EXPONENT), LARGEST_EXPONENT)
    k = np.floor(x * LOG2_E + 0.5)
    y = (x - k * LN2_HIGH) - k * LN2_LOW
    p = C[12]
    p = p * y + C[11]
    p = p * y + C[10]
    p = p * y + C[9]
    p = p * y + C[8]
    p = p * y + C[7]
    p = p * y + C[6]
    p = p * y + C[5]
    p = p * y + C[4]
    p = p * y + C[3]
    p = p * y + C[2]
    p = p * y + C[1]
    p = p * y + C[0]
    return p * powers[int(k) + ZERO_POWER]


@cached_njit
def _spiking_inputs(probabilities, rows, columns, window, seed, step, spiking):
    """The inputs that spike in a step, ascending, into `spiking`; how many."""
    key = stream_key(seed, Stream.ARTIFICIAL_INPUT, step)
    n = 0
    if window == 0:
        for pixel in range(len(probabilities)):
            if uniform(key, pixel) < probabilities[pixel]:
                spiking[n] = pixel
                n += 1
        return n
    place = stream_key(seed, Stream.ARTIFICIAL_WINDOW, step)
    top = integer(place, 0, rows - window + 1)
    left = integer(place, 1, columns - window + 1)
    for row in range(top, top + window):
        for column in range(left, left + window):
            pixel = row * columns + column
            if uniform(key, pixel) < probabilities[pixel]:
                spiking[n] = pixel
                n += 1
    return n


@cached_njit
def _integrate(weights, size, spiking, n_spiking, alpha, potentials, current):
    """v <- 0.999 v + alpha W s for a layer; `weights` (n_before * size), those of one presynaptic cell beside each other."""
    current[:size] = 0.0
    for k in range(n_spiking):
        row = weights[spiking[k] * size : (spiking[k] + 1) * size]
        for i in range(size):
            current[i] += row[i]
    for i in range(size):
        potentials[i] = DECAY * potentials[i] + alpha * current[i]


@cached_njit
def _learn(weights, n_before, size, i, is_spiking, increase, decrease, powers):
    """The weights of postsynaptic cell i, which has spiked."""
    for j in range(n_before):
        w = weights[j * size + i]
        g = 2.0 / (1.0 + _exp(w / WEIGHT_SCALE, powers))
        if is_spiking[j]:
            w += increase * g
        else:
            w -= decrease * g
        weights[j * size + i] = w


@cached_njit
def _run(
    flat,
    sizes,
    potentials,
    counts,
    probabilities,
    rows,
    columns,
    window,
    alphas,
    thresholds,
    increase,
    decrease,
    powers,
    seed,
    start,
    stop,
):
    """Steps `start` ... `stop - 1` of a sleep; changes weights, potentials and counts in place."""
    widest = np.max(sizes)
    current = np.empty(widest)
    before, after = np.empty(widest, np.int64), np.empty(widest, np.int64)
    is_spiking = np.zeros(widest, np.bool_)
    for step in range(start, stop):
        n_before = _spiking_inputs(probabilities, rows, columns, window, seed, step, before)
        for k in range(n_before):
            counts[before[k]] += 1
        at, cell = 0, sizes[0]
        for layer in range(len(sizes) - 1):
            inputs, size = sizes[layer], sizes[layer + 1]
            weights = flat[at : at + inputs * size]
            v = potentials[cell : cell + size]
            _integrate(weights, size, before, n_before, alphas[layer], v, current)
            for k in range(n_before):
                is_spiking[before[k]] = True
            n_after = 0
            for i in range(size):
                if v[i] >= thresholds[layer]:
                    v[i] = 0.0
                    counts[cell + i] += 1
                    after[n_after] = i
                    n_after += 1
                    _learn(weights, inputs, size, i, is_spiking, increase, decrease, powers)
            for k in range(n_before):
                is_spiking[before[k]] = False
            for k in range(n_after):
                before[k] = after[k]
            n_before = n_after
            at += inputs * size
            cell += size
