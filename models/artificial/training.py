"""Networks without spikes, awake: gradient descent on squared errors, and the baselines that remember by it.

Besides sleep there are: rehearsal of stored or of mean images beside the new ones, and elastic weight consolidation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from foraging_snn.models.artificial import NetworkError, pytorch

if TYPE_CHECKING:
    from torch import Tensor  # pyright: ignore[reportMissingImports] - an extra
    from torch.nn import Sequential  # pyright: ignore[reportMissingImports] - an extra

IMPORTANCE_IMAGES = 500  # over which importances of weights are averaged, at most
BATCH_TESTED = 2000
LIMIT = 1e6  # of rates and strengths


@dataclass(frozen=True)
class Descent:
    """How gradient descent goes.

    Parameters
    ----------
    rate : float
        Of learning, per update.
    momentum : float
    batch : int
        Images per update.
    """

    rate: float = 0.1
    momentum: float = 0.5
    batch: int = 100

    def __post_init__(self) -> None:
        if not 0.0 < self.rate <= LIMIT or not 0.0 <= self.momentum < 1.0 or self.batch < 1:
            given = f"rate {self.rate:g}, momentum {self.momentum:g}, batch {self.batch}"
            raise NetworkError(
                f"training: {given} given, allowed are a rate above 0, a momentum of 0 to below 1, a batch from 1 on"
            )


@dataclass(frozen=True)
class Rehearsal:
    """Old images that are shown beside new ones: of each update as many as there are new ones, drawn at random.

    Attributes
    ----------
    images : (n, n_pixels) float32
    labels : (n,) int64
    weight : float
        Of their error beside that of the new ones.
    """

    images: np.ndarray
    labels: np.ndarray
    weight: float = 1.0


class Elastic:
    """Elastic weight consolidation (Kirkpatrick et al., PNAS 114: 3521, 2017): weights are pulled to where earlier tasks left them.

    The penalty is strength / 2 times the sum over tasks k and weights of F_k (W - W_k)^2; F_k is the mean over images of task k of
    the squared derivative of an image's error.

    Parameters
    ----------
    strength : float
    """

    def __init__(self, strength: float):
        if not 0.0 <= strength <= LIMIT:
            raise NetworkError(f"elastic: strength {strength:g} given, allowed is 0 to {LIMIT:g}")
        self.strength = strength
        self._sums: list[tuple[Tensor, Tensor, Tensor]] = []  # of F, F W and F W^2, for each layer

    def consolidate(self, network: Sequential, images: np.ndarray, labels: np.ndarray, n_classes: int) -> None:
        """A task is learned: note weights and their importances on some of its images."""
        torch = pytorch()
        weights = [weight.detach().clone() for weight in network.parameters()]
        squares = [torch.zeros_like(weight) for weight in weights]
        network.eval()
        chosen = np.linspace(0, len(images) - 1, min(len(images), IMPORTANCE_IMAGES)).astype(int)
        for k in chosen.tolist():
            network.zero_grad()
            _error(network, *_tensors(images[k : k + 1], labels[k : k + 1], n_classes)).sum().backward()
            for square, weight in zip(squares, network.parameters(), strict=True):
                if weight.grad is not None:
                    square += weight.grad**2 / len(chosen)
        network.zero_grad()
        new = [(f, f * w, f * w * w) for f, w in zip(squares, weights, strict=True)]
        if self._sums:
            new = [(a + x, b + y, c + z) for (a, b, c), (x, y, z) in zip(self._sums, new, strict=True)]
        self._sums = new

    def penalty(self, network: Sequential) -> Tensor | float:
        """To be added to the error."""
        pairs = zip(network.parameters(), self._sums, strict=False)
        return 0.5 * self.strength * sum((f * w * w - 2.0 * fw * w + fww).sum() for w, (f, fw, fww) in pairs)


def train(
    network: Sequential,
    images: np.ndarray,
    labels: np.ndarray,
    updates: int,
    *,
    n_classes: int,
    descent: Descent,
    seed: int,
    rehearsal: Rehearsal | None = None,
    elastic: Elastic | None = None,
    between: Callable[[], None] = lambda: None,
) -> None:
    """Change a network in place so that its output is 1 for the class of an image, and 0 for the others.

    Parameters
    ----------
    images : (n, n_pixels) float32
    labels : (n,) int64
    updates : int
        Each on `descent.batch` images, or on all if there are fewer; the images are gone through in a new order again and again.
    n_classes : int
    seed : int
        Of the order, of dropout and of what is rehearsed.
    between : callable, optional
        Called before each update; may raise.
    """
    if not len(images):
        raise NetworkError("training: no image given, allowed is one or more")
    torch = pytorch()
    optimizer = torch.optim.SGD(network.parameters(), lr=descent.rate, momentum=descent.momentum)
    random = np.random.default_rng(seed)
    order = np.empty(0, np.int64)
    size = min(descent.batch, len(images))
    network.train()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for _ in range(updates):
            between()
            if len(order) < size:
                order = random.permutation(len(images))
            chosen, order = order[:size], order[size:]
            optimizer.zero_grad()
            loss = _error(network, *_tensors(images[chosen], labels[chosen], n_classes)).mean()
            if rehearsal is not None and len(rehearsal.images):
                old = random.integers(0, len(rehearsal.images), size)
                loss = (
                    loss
                    + rehearsal.weight * _error(network, *_tensors(rehearsal.images[old], rehearsal.labels[old], n_classes)).mean()
                )
            if elastic is not None:
                loss = loss + elastic.penalty(network)
            if not bool(torch.isfinite(loss)):
                raise NetworkError(
                    f"training: its error is no finite number any more; a smaller rate than {descent.rate:g} may help"
                )
            torch.as_tensor(loss).backward()
            optimizer.step()
    network.eval()


def updates_of(n_images: int, epochs: float, batch: int) -> int:
    """How many updates show so many images so many times, at least one."""
    return max(1, round(epochs * max(1, n_images // min(batch, n_images))))


def _tensors(images: np.ndarray, labels: np.ndarray, n_classes: int) -> tuple[Tensor, Tensor]:
    torch = pytorch()
    target = torch.nn.functional.one_hot(torch.from_numpy(labels), n_classes).float()
    return torch.from_numpy(np.ascontiguousarray(images, np.float32)), target


def _error(network: Sequential, images: Tensor, target: Tensor) -> Tensor:
    """Half the squared error of each image."""
    return 0.5 * ((network(images) - target) ** 2).sum(dim=1)


def errors(network: Sequential, images: np.ndarray, labels: np.ndarray, n_classes: int) -> np.ndarray:
    """Error of each image in a test, (n,)."""
    torch = pytorch()
    network.eval()
    with torch.no_grad():
        return _error(network, *_tensors(images, labels, n_classes)).numpy()


def choices(network: Sequential, images: np.ndarray) -> np.ndarray:
    """The class with the largest output for each image, among all classes, (n,) int64."""
    torch = pytorch()
    network.eval()
    with torch.no_grad():
        parts = [
            network(torch.from_numpy(images[k : k + BATCH_TESTED])).argmax(1).numpy() for k in range(0, len(images), BATCH_TESTED)
        ]
    return np.concatenate(parts)


class Buffer:
    """Stored images of old classes, the same number of each.

    Parameters
    ----------
    size : int
        Of all images together.
    """

    def __init__(self, size: int):
        if size < 1:
            raise NetworkError(f"buffer: {size} images given, allowed is at least 1")
        self.size = size
        self._of_class: dict[int, np.ndarray] = {}

    def add(self, images: np.ndarray, labels: np.ndarray, order: Sequence[int] | np.ndarray) -> None:
        """Store images of new classes, those that come first in `order`; fewer of the old ones are kept."""
        order = np.asarray(order)
        self._of_class |= {int(c): images[order[labels[order] == c]] for c in np.unique(labels)}
        each = max(1, self.size // len(self._of_class))
        self._of_class = {c: stored[:each] for c, stored in self._of_class.items()}

    def rehearsal(self, weight: float) -> Rehearsal | None:
        """What is in it; None: nothing."""
        if not self._of_class:
            return None
        labels = np.concatenate([np.full(len(stored), c, np.int64) for c, stored in self._of_class.items()])
        return Rehearsal(np.concatenate(list(self._of_class.values())), labels, weight)
