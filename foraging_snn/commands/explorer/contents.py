"""What is in a folder: trials as states over time, and landscapes. Reads files; computes and draws nothing."""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from foraging_snn.analysis.collection import CollectionError, files_in, sort_files
from foraging_snn.files.hdf5 import format_of
from foraging_snn.files.landscapes import LANDSCAPE, Landscape, LandscapeError, read_landscape
from foraging_snn.files.layout import RecordingError
from foraging_snn.files.networks import NAIVE, Network, RecordedPoints
from foraging_snn.files.reader import Trial

MOST_SNAPSHOTS = 250  # of a trial that are shown: each takes 50 kB of memory


@dataclass(frozen=True, eq=False)
class ExploredTrial:
    """A trial from its first training on; n snapshots.

    Attributes
    ----------
    trial : Trial
    network : Network
    images : (H, F, F) float32
        Input weight images of the hidden cells.
    strengths : (n, H, 8) float64
        Hidden to output, as :class:`RecordedPoints` has them.
    resistance : (n, 8) float64
        Of the output cells.
    phase : (n,) int64
        Number of the phase in the file; -1 for the state before the first training.
    epoch : (n,) int64
        Completed epochs since the trial began.
    made : dict of str to anything
        What tables.py has made of it, so that it is made once.
    """

    trial: Trial
    network: Network
    images: np.ndarray
    strengths: np.ndarray
    resistance: np.ndarray
    phase: np.ndarray
    epoch: np.ndarray
    made: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, trial: Trial) -> "ExploredTrial":
        """Read it.

        Raises
        ------
        RecordingError
            See :meth:`RecordedPoints.of`.
        """
        points = RecordedPoints.of(trial)
        rows = thinned(points.phase, MOST_SNAPSHOTS)
        images = trial.input_hidden_snapshots().images([-1])[0]
        of_rows = (points.strengths[rows], points.resistance[rows], points.phase[rows], points.epoch[rows])
        return cls(trial, Network.of_trial(trial), images, *of_rows)

    def __len__(self) -> int:
        return len(self.epoch)

    @property
    def name(self) -> str:
        """Of its file."""
        return self.trial.path.name

    @property
    def field(self) -> int:
        """Side of the field of view, squares."""
        return self.images.shape[-1]

    @property
    def squares(self) -> tuple[int, int]:
        """Sides of the world and of the field of view."""
        return self.trial.parameters.world.size, self.field

    @property
    def phase_names(self) -> list[str]:
        """Of each snapshot."""
        return [NAIVE if k < 0 else self.trial.phases[k].name for k in self.phase.tolist()]

    @cached_property
    def aeon(self) -> np.ndarray:
        """Of each snapshot, since the first training began, tests included, (n,) float64."""
        return self.aeons_at(self.epoch)

    def aeons_at(self, epoch: np.ndarray | int) -> np.ndarray:
        """Aeons from the beginning of the first training to an epoch of the trial."""
        first = next(p for p in self.trial.phases if not (p.phase.is_test or p.phase.is_unsupervised)).first_epoch
        return (np.asarray(epoch) - first) / self.trial.parameters.timing.epochs_per_aeon


def thinned(phase: np.ndarray, most: int) -> np.ndarray:
    """Which snapshots are shown: all, or about `most` evenly spread ones with the first and those at the ends of phases.

    Parameters
    ----------
    phase : (n,) int array
        Of each snapshot, in the order of time.
    most : int
    """
    n = len(phase)
    if n <= most:
        return np.arange(n)
    ends = np.flatnonzero(np.append(phase[1:] != phase[:-1], True))
    return np.union1d(np.round(np.linspace(0, n - 1, most)).astype(int), ends)


class Folder:
    """The complete trials and the landscapes in a folder, as it is now.

    Parameters
    ----------
    directory : Path

    Attributes
    ----------
    directory : Path
    version : int
        Goes up whenever something else is in the folder.
    trials : tuple of ExploredTrial
        By name of file.
    landscapes : dict of str to Landscape
        By name of file.
    problems : tuple of str
        Why files are not shown, one line each.

    Raises
    ------
    CollectionError
        No folder, or no trial in it that can be shown.
    """

    def __init__(self, directory: Path):
        self.directory, self.version = directory, 0
        self.trials: tuple[ExploredTrial, ...] = ()
        self.landscapes: dict[str, Landscape] = {}
        self.problems: tuple[str, ...] = ()
        self._read: dict[tuple[str, int, int], ExploredTrial | Landscape | str | None] = {}  # by name, size and time of change
        if not directory.is_dir():
            raise CollectionError(f"{directory}: not a folder")
        files_in(directory)  # says where there are files if there are none here
        self.refresh()
        if not self.trials:
            among = f" ({'; '.join(self.problems)})" if self.problems else ""
            raise CollectionError(f"{directory}: no complete trial with training in it{among}")

    def refresh(self) -> bool:
        """Look again; whether something has changed. What has been read is not read again."""
        found = {_version(path): path for path in sorted(self.directory.glob("*.h5")) if path.is_file()}
        if found.keys() == self._read.keys():
            return False
        self._read = {version: self._read[version] if version in self._read else _shown(path) for version, path in found.items()}
        parts = self._read.values()
        trials = [part for part in parts if isinstance(part, ExploredTrial)]
        self.trials = tuple(trial for trial in trials if trial.squares == trials[0].squares)
        self.landscapes = {name: part for (name, *_), part in self._read.items() if isinstance(part, Landscape)}
        others = [
            f"{t.trial.path}: its world or field of view has not the size of that of {trials[0].name}"
            for t in trials
            if t not in self.trials
        ]
        self.problems = (*(part for part in parts if isinstance(part, str)), *others)
        self.version += 1
        return True

    def trial(self, name: str) -> ExploredTrial:
        """By the name of its file; KeyError if there is none."""
        return next((trial for trial in self.trials if trial.name == name), None) or _none(name)


def _none(name: str) -> ExploredTrial:
    raise KeyError(name)


def _version(path: Path) -> tuple[str, int, int]:
    try:
        state = path.stat()
    except OSError:
        return path.name, 0, 0
    return path.name, state.st_size, state.st_mtime_ns


def _shown(path: Path) -> ExploredTrial | Landscape | str | None:
    """What of a file is shown, or why it is not; None for what is sound, but something else."""
    try:
        if format_of(path) == LANDSCAPE:
            return read_landscape(path)
        files = sort_files([path])
        if files.trials:
            return ExploredTrial.of(files.trials[0])
    except (RecordingError, LandscapeError) as error:
        return str(error)
    lines = (*files.unreadable, *(f"{path}: incomplete" for path in files.incomplete))
    return lines[0] if lines else None
