"""Networks without spikes: fully connected layers of rectified linear units, as PyTorch modules, and their weights as arrays."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from foraging_snn.models.artificial import NetworkError, pytorch

if TYPE_CHECKING:
    from torch.nn import Module, Sequential  # pyright: ignore[reportMissingImports] - an extra

INITIAL_WEIGHT = 0.01  # weights are drawn uniformly within plus and minus this (the authors' program)
DROPOUT = 0.25
MAX_CELLS = 100_000  # in a layer
KINDS = "Linear without bias, each followed by ReLU, and Dropout or Flatten"


@dataclass(frozen=True)
class Layer:
    """One layer as it is computed without spikes: activity = kept * max(0, weights @ input).

    Attributes
    ----------
    weights : (n, n_before) float64
    kept : float
        Factor of the activity when the network is tested; below 1 only with :class:`Dropout` as the authors have it.
    """

    weights: np.ndarray
    kept: float = 1.0


def new_network(sizes: Sequence[int], *, seed: int, dropout: float = DROPOUT, initial: float = INITIAL_WEIGHT) -> Sequential:
    """A network with fresh weights: Linear without bias and ReLU in every layer, dropout on the hidden ones.

    Parameters
    ----------
    sizes : sequence of int
        Cells of the input, the hidden layers and the output, e.g. (784, 1200, 1200, 10).
    seed : int
        Of the initial weights; draws on no global generator.
    dropout : float
        Share of the hidden cells that are silenced in a training step.
    initial : float
        Weights are uniform within plus and minus this.

    Returns
    -------
    torch.nn.Sequential

    Raises
    ------
    NetworkError
        Fewer than two sizes, or one out of range; no PyTorch.
    """
    torch = pytorch()
    if len(sizes) < 2 or any(not 1 <= size <= MAX_CELLS for size in sizes):
        given = ",".join(map(str, sizes))
        raise NetworkError(f"layers: {given} given, allowed are two numbers of cells or more, each from 1 to {MAX_CELLS:,}")
    if not 0.0 <= dropout < 1.0:
        raise NetworkError(f"dropout: {dropout:g} given, allowed is 0 to below 1")
    generator = torch.Generator().manual_seed(seed)
    modules: list[Module] = []
    for before, size in zip(sizes[:-1], sizes[1:], strict=True):
        if modules and dropout:
            modules.append(_dropout_class()(dropout))
        linear = torch.nn.utils.skip_init(torch.nn.Linear, before, size, bias=False)
        with torch.no_grad():
            linear.weight.uniform_(-initial, initial, generator=generator)
        modules += [linear, torch.nn.ReLU()]
    return torch.nn.Sequential(*modules)


def _dropout_class():
    """Dropout as in the authors' program: what is left is not enlarged in training, all is made smaller in a test."""
    torch = pytorch()

    class Dropout(torch.nn.Dropout):
        @property
        def kept_when_tested(self) -> float:
            return 1.0 - self.p

        def forward(self, input):  # noqa: A002, D102
            kept = self.kept_when_tested
            return super().forward(input) * kept if self.training else input * kept

        def __reduce__(self):
            return _made_dropout, (self.p, self.training)

    return Dropout


def _made_dropout(p: float, training: bool):
    return _dropout_class()(p).train(training)


def layers_of(network: Module) -> tuple[Layer, ...]:
    """The layers of a network, whoever trained it.

    Parameters
    ----------
    network : torch.nn.Module
        A `Sequential`, possibly of others, of Linear without bias, each followed by ReLU, and of Dropout, Flatten and Identity.

    Raises
    ------
    NetworkError
        It holds something else, a bias, or weights that are no finite numbers.
    """
    torch = pytorch()
    if not isinstance(network, torch.nn.Sequential):
        raise NetworkError(f"network: a {type(network).__name__} given, allowed is a torch.nn.Sequential of {KINDS}")
    layers: list[Layer] = []
    rectified = True
    for name, module in _modules(network):
        if isinstance(module, torch.nn.Linear):
            if not rectified:
                raise NetworkError(f"network: no ReLU before {name} (Linear), allowed is one after every Linear")
            layers.append(Layer(_weights(module, name, layers[-1] if layers else None)))
            rectified = False
        elif isinstance(module, torch.nn.ReLU):
            rectified = True
        elif isinstance(module, torch.nn.Dropout):
            if layers:
                layers[-1] = Layer(layers[-1].weights, layers[-1].kept * getattr(module, "kept_when_tested", 1.0))
        elif not isinstance(module, (torch.nn.Flatten, torch.nn.Identity)):
            raise NetworkError(f"network: {name} is a {type(module).__name__}, allowed are {KINDS}")
    if not layers or not rectified:
        raise NetworkError(f"network: {'no ReLU after its last Linear' if layers else 'no Linear'}, allowed are {KINDS}")
    return tuple(layers)


def _modules(network: Module, prefix: str = ""):
    torch = pytorch()
    for name, module in network.named_children():
        if isinstance(module, torch.nn.Sequential):
            yield from _modules(module, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", module


def _weights(linear, name: str, before: Layer | None) -> np.ndarray:
    if linear.bias is not None:
        raise NetworkError(f"network: {name} (Linear) has a bias, allowed is Linear(..., bias=False)")
    weights = linear.weight.detach().cpu().numpy().astype(np.float64)
    if not np.isfinite(weights).all():
        raise NetworkError(f"network: {name} (Linear) has weights that are no finite numbers")
    if before is not None and weights.shape[1] != len(before.weights):
        raise NetworkError(
            f"network: {name} (Linear) takes {weights.shape[1]} inputs, the layer before has {len(before.weights)} cells"
        )
    return weights


def with_weights(network: Sequential, weights: Sequence[np.ndarray]) -> Sequential:
    """A copy of a network with other weights, (n, n_before) for each Linear; of the network's own type of numbers."""
    torch = pytorch()
    made = copy.deepcopy(network)
    with torch.no_grad():
        for parameter, values in zip(made.parameters(), weights, strict=True):
            parameter.copy_(torch.from_numpy(np.ascontiguousarray(values)))
    return made


def activities(layers: Sequence[Layer], images: np.ndarray) -> list[np.ndarray]:
    """Activity of every layer in a test, (n_images, n) each, for images (n_images, n_input)."""
    found = []
    values = np.asarray(images, np.float64)
    for layer in layers:
        values = layer.kept * np.maximum(values @ layer.weights.T, 0.0)
        found.append(values)
    return found


def sparseness(activity: np.ndarray) -> float:
    """How few of the cells of a layer an image makes active, mean over images; NaN if no image makes one active.

    Of one image S = (1 - a) / (1 - 1/n) with a = (mean r)^2 / mean(r^2), r the activities of the n cells (Treves & Rolls, Network
    2: 371, 1991, scaled as by Vinje & Gallant, Science 287: 1273, 2000): 0 if all are active alike, 1 if one alone is.

    Parameters
    ----------
    activity : (n_images, n) float64
        From 0 on.
    """
    n = activity.shape[1]
    active = activity[activity.any(axis=1)]
    if n < 2 or not len(active):
        return float("nan")
    share = active.mean(axis=1) ** 2 / (active**2).mean(axis=1)
    return float(np.mean((1.0 - share) / (1.0 - 1.0 / n)))


def check_images(layers: Sequence[Layer], images: np.ndarray) -> np.ndarray:
    """Images as rows (n_images, n_input) of float64.

    Raises
    ------
    NetworkError
        Of another size than the network's input, negative, or no finite numbers.
    """
    array = np.asarray(images, np.float64)
    n_input = layers[0].weights.shape[1]
    if array.ndim < 2 or not len(array) or array[0].size != n_input:
        shape = " x ".join(map(str, array.shape)) or "one number"
        raise NetworkError(f"images: {shape} given, allowed are images of {n_input} pixels, as the network has inputs")
    if not np.isfinite(array).all() or array.min() < 0.0:
        raise NetworkError(
            "images: pixels that are negative or no finite numbers given, allowed are numbers from 0 on, usually to 1"
        )
    return array.reshape(len(array), n_input)
