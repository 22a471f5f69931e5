"""A network without spikes, run with spikes on images: rate code, integrate-and-fire cells, data-based normalisation.

Diehl, Neil, Binas, Cook, Liu & Pfeiffer, IJCNN 2015, algorithm 2. The cells are those of sleep without its
learning, and without its leak unless that is asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from foraging_snn.environments.draws import Stream, stream_key, uniform
from foraging_snn.environments.jit import cached_njit
from foraging_snn.models.artificial import NetworkError
from foraging_snn.models.artificial.network import check_images, layers_of
from foraging_snn.models.artificial.sleeping import MAX_STEPS, largest_values

if TYPE_CHECKING:
    from torch.nn import Sequential  # pyright: ignore[reportMissingImports] - an extra


@dataclass(frozen=True)
class SpikingRun:
    """What the spiking network did with some images.

    Attributes
    ----------
    output_spikes : (steps, n_images, n_output) int32
        Spikes of the output cells up to and with each step.
    spikes : (layers + 1,) int64
        All spikes of the input and of each layer, over all images and steps.
    """

    output_spikes: np.ndarray
    spikes: np.ndarray

    def choices(self) -> np.ndarray:
        """The class with most spikes after each step, the first of equals, (steps, n_images); -1: no spike yet."""
        most = self.output_spikes.max(axis=2)
        return np.where(most > 0, self.output_spikes.argmax(axis=2), -1)

    def accuracy(self, labels: np.ndarray) -> np.ndarray:
        """Share of the images whose class is chosen after each step, (steps,)."""
        return (self.choices() == labels).mean(axis=1)


@dataclass(frozen=True)
class SpikingNetwork:
    """The network as it is with spikes.

    Attributes
    ----------
    weights : tuple of (n_before, n) float64
        Normalised: the threshold is 1.
    decay : float
        Of the membrane potential in a step.
    """

    weights: tuple[np.ndarray, ...]
    decay: float = 1.0

    def run(self, images: np.ndarray, steps: int, *, seed: int, largest_probability: float = 1.0) -> SpikingRun:
        """Show images; a pixel of value x spikes in a step with probability x times `largest_probability`.

        Raises
        ------
        NetworkError
            Images of another size, steps or probability out of range.
        """
        rows = np.asarray(images, np.float64).reshape(len(images), -1)
        if rows.shape[1] != len(self.weights[0]) or not (np.isfinite(rows).all() and rows.min() >= 0.0):
            raise NetworkError(f"images: {rows.shape[1]} pixels given, allowed are {len(self.weights[0])}, each from 0 on")
        if not 1 <= steps <= MAX_STEPS or not 0.0 < largest_probability <= 1.0:
            raise NetworkError(f"steps: {steps} given, allowed is 1 to {MAX_STEPS:,}; probability above 0 to 1")
        sizes = np.array([len(weights) for weights in self.weights] + [self.weights[-1].shape[1]], np.int64)
        flat = np.concatenate([weights.ravel() for weights in self.weights])
        output = np.zeros((steps, len(rows), sizes[-1]), np.int32)
        counts = np.zeros(len(sizes), np.int64)
        _show(flat, sizes, rows * largest_probability, self.decay, np.uint64(seed), output, counts)
        return SpikingRun(np.cumsum(output, axis=0, dtype=np.int32), counts)


def to_spiking(network: Sequential, images: np.ndarray, decay: float = 1.0) -> SpikingNetwork:
    """The network with spikes.

    Parameters
    ----------
    network : torch.nn.Sequential
        See :func:`foraging_snn.models.artificial.network.layers_of`.
    images : (n_images, ...) array_like
        On which the largest activities are measured; training images.
    decay : float
        Of the membrane potential in a step of 1 ms; 0.999 in sleep, 1 (no leak) in Diehl et al.

    Notes
    -----
    With m_l the larger of the largest weight and the largest activity of layer l, m_0 = 1, the weights of layer l are multiplied by
    m_{l-1} / m_l, so that no cell has to spike more than once in a step.
    """
    layers = layers_of(network)
    largest = largest_values(layers, check_images(layers, images))
    factors = np.concatenate(([1.0], largest[:-1])) / largest
    kept = [layer.kept for layer in layers]
    return SpikingNetwork(
        tuple(np.ascontiguousarray(layer.weights.T * (k * factor)) for layer, k, factor in zip(layers, kept, factors, strict=True)),
        decay,
    )


@cached_njit
def _show(flat, sizes, probabilities, decay, seed, output, counts):
    n_layers = len(sizes) - 1
    widest = np.max(sizes)
    before, after = np.empty(widest, np.int64), np.empty(widest, np.int64)
    v = np.zeros((n_layers, widest))
    for image in range(len(probabilities)):
        v[:] = 0.0
        image_key = stream_key(seed, Stream.ARTIFICIAL_IMAGE, image)
        for step in range(len(output)):
            key = stream_key(image_key, Stream.ARTIFICIAL_INPUT, step)
            n_before = 0
            for pixel in range(sizes[0]):
                if probabilities[image, pixel] > 0.0 and uniform(key, pixel) < probabilities[image, pixel]:
                    before[n_before] = pixel
                    n_before += 1
            counts[0] += n_before
            at = 0
            for layer in range(n_layers):
                size = sizes[layer + 1]
                v[layer, :size] *= decay
                for k in range(n_before):
                    row = flat[at + before[k] * size : at + (before[k] + 1) * size]
                    for i in range(size):
                        v[layer, i] += row[i]
                n_after = 0
                for i in range(size):
                    if v[layer, i] >= 1.0:
                        v[layer, i] = 0.0
                        after[n_after] = i
                        n_after += 1
                at += sizes[layer] * size
                counts[layer + 1] += n_after
                for k in range(n_after):
                    before[k] = after[k]
                n_before = n_after
            for k in range(n_before):
                output[step, image, before[k]] += 1
