"""Whether perturbed networks come back: by how much performance fell, what share is back later, and after how long.

Pure functions of what `foraging-snn basins` has tested; see docs/weight_space.md.
"""

from dataclasses import dataclass

import numpy as np

from foraging_snn.files.landscapes import Basins

RETURNED = 0.95  # of the performance of the network that was not perturbed


@dataclass(frozen=True)
class Return:
    """Networks perturbed by one radius, with one phase that follows, on one task; n networks (trials and directions), c tests.

    Attributes
    ----------
    phase, task : str
    radius : float
        By how much they were to be perturbed.
    distance : (n,) float64
        By how much they were.
    epoch : (c,) int64
        Of the phase.
    performance : (n, c) float64
    before : (n,) float64
        Performance of the networks that were not perturbed, before the phase.
    """

    phase: str
    task: str
    radius: float
    distance: np.ndarray
    epoch: np.ndarray
    performance: np.ndarray
    before: np.ndarray

    @property
    def _is_good(self) -> np.ndarray:
        return self.performance >= RETURNED * self.before[:, None]

    @property
    def left(self) -> np.ndarray:
        """Which networks the perturbation brought below `RETURNED` of what they were, (n,) bool."""
        return ~self._is_good[:, 0]

    @property
    def back(self) -> np.ndarray:
        """Which of all are at that share, or above, at the end of the phase, (n,) bool."""
        return self._is_good[:, -1]

    @property
    def share(self) -> float:
        """Of those that left, the share that is back at the end; NaN if none left."""
        return float(self.back[self.left].mean()) if self.left.any() else float("nan")

    @property
    def time(self) -> float:
        """Median over those that left and are back: epochs until the test from which on they stay so; NaN if there are none."""
        chosen = self.left & self.back
        if not chosen.any():
            return float("nan")
        first = [len(good) - int((~good[::-1]).argmax()) for good in self._is_good[chosen]]  # after the last test that was too low
        return float(np.median(self.epoch[first]))


def returns(basins: Basins) -> list[Return]:
    """By phase that follows, then task, then radius."""
    performance = basins.tested.performance  # (trial, phase, radius, direction, test, task)
    found = []
    for f, phase in enumerate(basins.phases):
        for k, task in enumerate(basins.tested.tasks):
            before = np.broadcast_to(performance[:, f, 0, :, 0, k], basins.distance[:, 0].shape).reshape(-1)
            for r, radius in enumerate(basins.radii.tolist()):
                values = performance[:, f, r, :, :, k].reshape(len(before), -1)
                found.append(Return(phase, task, radius, basins.distance[:, r].reshape(-1), basins.epoch[f], values, before))
    return found
