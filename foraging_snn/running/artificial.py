"""Runs experiments with networks without spikes: what their conditions do, one job per seed, one file per job.

The conditions of a seed share images, initial weights and order of training. A file is written anew, whole, after each
condition; a job that was stopped goes on with the conditions that are not in it. Networks train on one
thread, so that processes do not compete.
"""

import copy
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from foraging_snn.environments.images import (
    Images,
    blurred,
    class_tasks,
    load_images,
    noisy,
    of_classes,
    share_of,
    some_of,
    unbalanced,
)
from foraging_snn.files.artificial import Condition, ImageRun, read_image_run, write_image_run
from foraging_snn.files.provenance import provenance
from foraging_snn.models.artificial import NetworkError, pytorch
from foraging_snn.protocols.artificial import ImageExperiment, Settings, experiment_named
from foraging_snn.running.errors import RunError
from foraging_snn.running.trial import Listener, Stopped

if TYPE_CHECKING:
    from torch.nn import Sequential  # pyright: ignore[reportMissingImports] - an extra

    from foraging_snn.models.artificial.training import Elastic, Rehearsal

PERCENTS = range(101)  # of which quantiles of weights are kept
SPARSENESS_IMAGES = 500  # of the test, on which sparseness is measured, at most
NEAR_ZERO = 0.001  # of weights; the scale of g(W) in sleep
RARE_SHARE = 0.1  # of the images of the classes that are rare
BLURS, NOISES = (1.0, 2.0), (0.2, 0.4)  # standard deviations: pixels of an image of 28; of pixels of value 0 to 1
SHARE_SEED, TRAIN_SEED, SLEEP_SEED, TUNE_SEED, TEST_NOISE_SEED, STORE_SEED = range(6)


def _seed(*numbers: int) -> int:
    """A seed for one use, that follows from others."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> np.uint64(1))


@dataclass
class _Tally:
    """What is noted of a condition while it runs."""

    rows: int
    columns: int
    layers: int
    updates: int = 0
    seconds_asleep: float = 0.0
    seconds_before: float = 0.0  # of training that was done once for several conditions

    def __post_init__(self) -> None:
        self.began = time.process_time()
        self.accuracy, self.awake = np.full((2, self.rows, self.columns), np.nan)
        self.sparseness, self.sparseness_awake = np.full((2, self.rows, self.layers), np.nan)
        self.weights_awake = np.full((self.layers, len(PERCENTS)), np.nan)
        self.sleep_steps: list[int] = []
        self.share_spiking: list[tuple[float, ...]] = []
        self.output_spikes: list[np.ndarray] = []

    @property
    def seconds(self) -> float:
        """Of the processor until now."""
        return time.process_time() - self.began + self.seconds_before


class Laboratory:
    """One seed of one experiment: networks are trained, sleep, and are tested.

    Parameters
    ----------
    experiment : ImageExperiment
    images : Images
    settings : Settings
    seed : int
    listener : Listener, optional
        Asked whether to stop.
    """

    def __init__(
        self, experiment: ImageExperiment, images: Images, settings: Settings, seed: int, listener: Listener | None = None
    ):
        self.experiment, self.images, self.settings, self.seed = experiment, images, settings, seed
        self._listener = listener or Listener()
        self._train = images.train.reshape(len(images.train), -1)
        self._test = images.test.reshape(len(images.test), -1)
        self._made: dict[str, tuple[Sequential, float]] = {}  # networks that several conditions have, and the seconds they took
        self._incremental = experiment.name == "ann-incremental"

    # ------------------------------------------------------------------------------------------------ what is in the table

    @cached_property
    def tasks(self) -> tuple[tuple[int, ...], ...]:
        """Classes of each task of ann-incremental."""
        return class_tasks(self.images.n_classes, self.settings.classes_per_task)

    @cached_property
    def rows(self) -> tuple[str, ...]:
        """What the rows of accuracies are."""
        kinds = {
            "ann-incremental": lambda: [",".join(map(str, task)) for task in self.tasks],
            "ann-limited": lambda: [f"{share:g} %" for share in self.settings.shares],
            "ann-unbalanced": lambda: ["first classes rare", "last classes rare"],
            "ann-noise": lambda: list(self._variants(self.images.train, self.seed)),
        }
        return tuple(kinds[self.experiment.name]())

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """What the columns are."""
        kinds = {
            "ann-incremental": lambda: [",".join(map(str, task)) for task in self.tasks],
            "ann-limited": lambda: ["all classes"],
            "ann-unbalanced": lambda: ["rare classes", "common classes"],
            "ann-noise": lambda: list(self._tests_of_noise),
        }
        return tuple(kinds[self.experiment.name]())

    def run(self, condition: str) -> Condition:
        """Do what a condition is.

        Raises
        ------
        NetworkError
        Stopped
            The listener wanted that.
        """
        tally = _Tally(len(self.rows), len(self.columns), len(self.settings.hidden) + 1)
        with one_thread():
            network = (self._in_sequence if self._incremental else self._all_classes)(condition, tally)
            confusion = self._confusion(network)
        sleeps = len(tally.sleep_steps)
        arrays = {
            "accuracy": tally.accuracy,
            "awake": tally.awake,
            "sparseness": tally.sparseness,
            "sparseness_awake": tally.sparseness_awake,
            "confusion": confusion,
            "sleep_steps": np.array(tally.sleep_steps, np.int64),
            "share_spiking": np.array(tally.share_spiking, np.float64).reshape(sleeps, tally.layers + 1),
            "output_spikes": np.array(tally.output_spikes, np.int64).reshape(sleeps, self.images.n_classes),
            "weights": _quantiles(network),
            "weights_awake": tally.weights_awake,
            "zero_weights": np.array([float((abs(w.detach()) < NEAR_ZERO).double().mean()) for w in network.parameters()]),
        }
        return Condition(arrays, tally.updates, tally.seconds, tally.seconds_asleep)

    # ----------------------------------------------------------------------------------------------- tasks one after the other

    def _in_sequence(self, condition: str, tally: _Tally) -> "Sequential":
        from foraging_snn.models.artificial.training import Elastic

        if condition == "all":
            return self._all_at_once(tally)
        network = self._new_network()
        elastic = Elastic(self.settings.elastic_strength) if condition == "elastic" else None
        rehearse = _rehearsing(condition, self.settings, self.images.n_classes)
        seen: list[np.ndarray] = []
        for k, _ in enumerate(self.tasks):
            numbers = self._numbers_of_task(k)
            seen.append(numbers)
            self._train_on(network, numbers, self.settings.epochs, _seed(self.seed, TRAIN_SEED, k), tally, rehearse.now(), elastic)
            if elastic:
                elastic.consolidate(network, self._train[numbers], self.images.train_labels[numbers], self.images.n_classes)
            rehearse.learned(network, self._train[numbers], self.images.train_labels[numbers], _seed(self.seed, STORE_SEED, k))
            if condition in ("sleep", "sleep-noise") or (condition == "sleep-end" and k == len(self.tasks) - 1):
                shown = self.settings.noise_rate if condition == "sleep-noise" else self._shown(np.concatenate(seen))
                network = self._slept(network, shown, k, tally)
            tally.accuracy[k], tally.sparseness[k] = self._tested(network, k)
        return network

    def trained_on_all(self) -> "Sequential":
        """A network trained on all classes at once, with the images of all tasks."""
        return self._all_at_once(_Tally(len(self.rows), len(self.columns), len(self.settings.hidden) + 1))

    def _all_at_once(self, tally: _Tally) -> "Sequential":
        network = self._new_network()
        numbers = np.concatenate([self._numbers_of_task(k) for k in range(len(self.tasks))])
        self._train_on(network, numbers, self.settings.epochs, _seed(self.seed, TRAIN_SEED, 0), tally)
        tally.accuracy[-1], tally.sparseness[-1] = self._tested(network, -1)
        return network

    def _numbers_of_task(self, k: int) -> np.ndarray:
        numbers = of_classes(self.images.train_labels, self.tasks[k])
        return some_of(numbers, self.settings.images_per_task, _seed(self.seed, SHARE_SEED, k))

    def _accuracies_of_tasks(self, network: "Sequential") -> np.ndarray:
        right = self._chosen(network, self._test) == self.images.test_labels
        return np.array([right[of_classes(self.images.test_labels, task)].mean() for task in self.tasks])

    # --------------------------------------------------------------------------------------------------- all classes at once

    def _all_classes(self, condition: str, tally: _Tally) -> "Sequential":
        network = self._new_network()
        for k, row in enumerate(self.rows):
            numbers, images = self._training_set(k, row)
            steps = self._sleep_steps(0)
            network = self._trained(numbers, images, k, tally, longer=steps if condition.startswith("longer") else 0)
            if condition.startswith("sleep"):
                network = self._slept(network, images[numbers].reshape(-1, *self.images.shape), k, tally, steps)
            if condition.endswith("-tuned"):
                self._train_on(network, numbers, self.settings.tuning_epochs, _seed(self.seed, TUNE_SEED, k), tally, images=images)
            tally.accuracy[k], tally.sparseness[k] = self._tested(network, k)
        return network

    def _trained(self, numbers: np.ndarray, images: np.ndarray, k: int, tally: _Tally, longer: int) -> "Sequential":
        """The network of a row as several conditions have it, trained once; its updates and seconds count for each."""
        name = f"{k}, {longer} longer"
        if name not in self._made:
            own = _Tally(1, 1, 1)
            if longer:
                network = self._trained(numbers, images, k, own, longer=0)
                self._train_on(network, numbers, None, _seed(self.seed, SLEEP_SEED, k), own, images=images, updates=longer)
            else:
                network = self._new_network()
                self._train_on(network, numbers, self.settings.epochs, _seed(self.seed, TRAIN_SEED, k), own, images=images)
            self._made[name] = network, own.seconds
            tally.seconds_before -= time.process_time() - own.began  # these are counted from here on as everybody's
        network, seconds = self._made[name]
        tally.seconds_before += seconds
        tally.updates += self._updates(len(numbers), self.settings.epochs) + longer
        return copy.deepcopy(network)

    def _training_set(self, k: int, row: str) -> tuple[np.ndarray, np.ndarray]:
        """Numbers of images, and the images of which these are the numbers, (n, n_pixels)."""
        labels = self.images.train_labels
        if self.experiment.name == "ann-limited":
            return share_of(labels, self.settings.shares[k] / 100.0, _seed(self.seed, SHARE_SEED, k)), self._train
        if self.experiment.name == "ann-unbalanced":
            return unbalanced(labels, dict.fromkeys(self._rare(k), RARE_SHARE), _seed(self.seed, SHARE_SEED, k)), self._train
        everything = some_of(np.arange(len(labels)), self.settings.images_per_task, _seed(self.seed, SHARE_SEED, 0))
        return everything, self._variants(self.images.train, self.seed)[row].reshape(len(labels), -1)

    def _rare(self, k: int) -> tuple[int, ...]:
        half = self.images.n_classes // 2
        return tuple(range(half)) if k == 0 else tuple(range(half, self.images.n_classes))

    def _variants(self, images: np.ndarray, seed: int) -> dict[str, np.ndarray]:
        scale = max(self.images.shape) / 28.0
        kinds: dict[str, np.ndarray] = {"clean": images}
        kinds |= {f"blurred {sd:g}": blurred(images, sd * scale) for sd in BLURS}
        kinds |= {f"noisy {sd:g}": noisy(images, sd, _seed(seed, TEST_NOISE_SEED, n)) for n, sd in enumerate(NOISES)}
        return kinds

    @cached_property
    def _tests_of_noise(self) -> dict[str, np.ndarray]:
        return self._variants(self.images.test, self.seed + 1)

    def _tested(self, network: "Sequential", k: int) -> tuple[np.ndarray, np.ndarray]:
        """Accuracies of row k, (columns,), and sparseness of each layer, (layers,)."""
        from foraging_snn.models.artificial.network import activities, layers_of, sparseness

        accuracies = self._accuracies_of_tasks(network) if self._incremental else self._accuracies(network, k)
        return accuracies, np.array([sparseness(each) for each in activities(layers_of(network), self._test[:SPARSENESS_IMAGES])])

    def _accuracies(self, network: "Sequential", k: int) -> np.ndarray:
        labels = self.images.test_labels
        if self.experiment.name == "ann-noise":
            shown = [images.reshape(len(labels), -1) for images in self._tests_of_noise.values()]
            return np.array([(self._chosen(network, images) == labels).mean() for images in shown])
        right = self._chosen(network, self._test) == labels
        if self.experiment.name == "ann-unbalanced":
            rare = np.isin(labels, self._rare(k))
            return np.array([right[rare].mean(), right[~rare].mean()])
        return np.array([right.mean()])

    # ------------------------------------------------------------------------------------------------------- what all have

    def _new_network(self) -> "Sequential":
        from foraging_snn.models.artificial.network import new_network

        sizes = (self.images.n_pixels, *self.settings.hidden, self.images.n_classes)
        return new_network(sizes, seed=self.seed, dropout=self.settings.dropout, initial=self.settings.initial)

    def _updates(self, n_images: int, epochs: float) -> int:
        from foraging_snn.models.artificial.training import updates_of

        return updates_of(n_images, epochs, self.settings.batch)

    def _train_on(
        self,
        network: "Sequential",
        numbers: np.ndarray,
        epochs: float | None,
        seed: int,
        tally: _Tally,
        rehearsal: "Rehearsal | None" = None,
        elastic: "Elastic | None" = None,
        images: np.ndarray | None = None,
        updates: int = 0,
    ) -> None:
        from foraging_snn.models.artificial.training import Descent, train

        settings = self.settings
        updates = updates if epochs is None else self._updates(len(numbers), epochs)
        shown = (self._train if images is None else images)[numbers]
        train(
            network,
            shown,
            self.images.train_labels[numbers],
            updates,
            n_classes=self.images.n_classes,
            descent=Descent(settings.rate, settings.momentum, settings.batch),
            seed=seed,
            rehearsal=rehearsal,
            elastic=elastic,
            between=self._stop_if_wanted,
        )
        tally.updates += updates

    def _shown(self, numbers: np.ndarray) -> np.ndarray:
        return self.images.train[numbers]

    def _sleep_steps(self, k: int) -> int:
        return self.settings.sleep_steps + k * self.settings.sleep_more_steps

    def _slept(
        self, network: "Sequential", shown: np.ndarray | float, k: int, tally: _Tally, steps: int | None = None
    ) -> "Sequential":
        from foraging_snn.models.artificial.sleeping import sleep

        self._stop_if_wanted()
        tally.awake[k], tally.sparseness_awake[k] = self._tested(network, k)
        tally.weights_awake = _quantiles(network)
        began = time.process_time()
        steps = steps or self._sleep_steps(k)
        parameters, seed = sleep_parameters(self.settings), _seed(self.seed, SLEEP_SEED, k)
        slept, record = sleep(network, shown, steps, parameters=parameters, seed=seed, image_shape=self.images.shape)
        tally.seconds_asleep += time.process_time() - began
        tally.sleep_steps.append(steps)
        tally.share_spiking.append(record.share_spiking)
        tally.output_spikes.append(record.spikes[-1])
        return slept

    def _stop_if_wanted(self) -> None:
        if self._listener.stop_wanted():
            raise Stopped

    def _chosen(self, network: "Sequential", images: np.ndarray) -> np.ndarray:
        from foraging_snn.models.artificial.training import choices

        return choices(network, images)

    def _confusion(self, network: "Sequential") -> np.ndarray:
        found = np.zeros((self.images.n_classes, self.images.n_classes), np.int64)
        np.add.at(found, (self.images.test_labels, self._chosen(network, self._test)), 1)
        return found


def sleep_parameters(settings: Settings):
    """The constants of sleep among settings, a :class:`foraging_snn.models.artificial.sleeping.SleepParameters`."""
    from foraging_snn.models.artificial.sleeping import SleepParameters

    increase, decrease, window = settings.sleep_increase, settings.sleep_decrease, settings.sleep_window or None
    return SleepParameters(settings.sleep_rate, increase, decrease, settings.sleep_thresholds, settings.sleep_scale, window)


def _quantiles(network: "Sequential") -> np.ndarray:
    """Of the weights of each layer, (layers, percents)."""
    return np.array([np.percentile(weights.detach().numpy().astype(np.float64), PERCENTS) for weights in network.parameters()])


class _Rehearsing:
    """Nothing is rehearsed."""

    def now(self) -> "Rehearsal | None":
        """What is rehearsed beside the next task."""
        return None

    def learned(self, network: "Sequential", images: np.ndarray, labels: np.ndarray, seed: int) -> None:
        """A task has been learned."""


class _Stored(_Rehearsing):
    def __init__(self, settings: Settings, n_classes: int, selective: bool):
        from foraging_snn.models.artificial.training import Buffer

        self._buffer, self._weight = Buffer(settings.buffer), settings.replay_weight
        self._n_classes, self._selective = n_classes, selective

    def now(self) -> "Rehearsal | None":
        return self._buffer.rehearsal(self._weight)

    def learned(self, network: "Sequential", images: np.ndarray, labels: np.ndarray, seed: int) -> None:
        from foraging_snn.models.artificial.training import errors

        order = np.random.default_rng(seed).permutation(len(images))
        if self._selective:
            order = order[np.argsort(-errors(network, images[order], labels[order], self._n_classes), kind="stable")]
        self._buffer.add(images, labels, order)


class _Means(_Rehearsing):
    def __init__(self, settings: Settings):
        self._weight = settings.mean_weight
        self._images: list[np.ndarray] = []
        self._labels: list[int] = []

    def now(self) -> "Rehearsal | None":
        from foraging_snn.models.artificial.training import Rehearsal

        return (
            Rehearsal(np.array(self._images, np.float32), np.array(self._labels, np.int64), self._weight) if self._images else None
        )

    def learned(self, network: "Sequential", images: np.ndarray, labels: np.ndarray, seed: int) -> None:
        for label in np.unique(labels).tolist():
            self._images.append(images[labels == label].mean(axis=0))
            self._labels.append(label)


def _rehearsing(condition: str, settings: Settings, n_classes: int) -> _Rehearsing:
    if condition in ("replay", "replay-selective"):
        return _Stored(settings, n_classes, condition == "replay-selective")
    return _Means(settings) if condition == "mean-image" else _Rehearsing()


@contextmanager
def one_thread() -> Iterator[None]:
    """PyTorch computes with one thread while a block runs."""
    torch = pytorch()
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


# ------------------------------------------------------------------------------------------------------------------------- jobs


@dataclass(frozen=True)
class ImageJob:
    """An experiment with one seed, to be given to a process; see :class:`foraging_snn.running.scheduling.Job`.

    Attributes
    ----------
    experiment_name, data : str
        Of the experiment and of the images.
    sha256 : str
        Of the images; others of this name are refused.
    settings : Settings
    conditions : tuple of str
    seed : int
    path : Path
    command_line : str
    """

    experiment_name: str
    data: str
    sha256: str
    settings: Settings
    conditions: tuple[str, ...]
    seed: int
    path: Path
    command_line: str = ""
    parameters: None = None

    @property
    def name(self) -> str:
        """On the screen."""
        return f"seed {self.seed}"

    @property
    def parts(self) -> int:
        """Its conditions."""
        return len(self.conditions)

    @property
    def epochs(self) -> int:
        """Its conditions: what they take is not known before."""
        return len(self.conditions)

    @property
    def log_path(self) -> Path:
        """Where its log goes if its process dies."""
        return self.path.with_suffix(".log")

    def is_done(self) -> bool:
        """All conditions are in its file."""
        return not self.missing(self.look())

    def look(self) -> ImageRun | None:
        """What there is in its file; None: no file.

        Raises
        ------
        RecordingError
            The file cannot be read.
        RunError
            It is of other settings, images or conditions.
        """
        if not self.path.exists():
            return None
        found = read_image_run(self.path)
        for what, theirs, ours in (
            ("experiment", found.experiment, self.experiment_name),
            ("seed", found.seed, self.seed),
            ("images", found.sha256, self.sha256),
            ("settings", found.settings, self.settings),
        ):
            if theirs != ours:
                raise RunError(f"{self.path}: cannot be gone on with, its {what} differ; allowed is another --out")
        return found

    def missing(self, found: ImageRun | None) -> list[str]:
        """The conditions that are not in a file."""
        return [name for name in self.conditions if found is None or name not in found.conditions]

    def run(self, listener: Listener) -> None:
        """Do the conditions that are missing; the file is written after each."""
        experiment, images = experiment_named(self.experiment_name), load_images(self.data)
        if images.sha256 != self.sha256:
            raise RunError(f"{self.data}: the images changed while the run went on")
        found = self.look()
        laboratory = Laboratory(experiment, images, self.settings, self.seed, listener)
        done = dict(found.conditions) if found else {}
        planned = tuple(dict.fromkeys([*(found.planned if found else ()), *self.conditions]))
        ordered = tuple(name for name in experiment.conditions if name in planned)
        origin = provenance(f"pytorch {pytorch().__version__}", self.command_line)
        for name in self.missing(found):
            listener.part(name)
            done[name] = laboratory.run(name)
            run = ImageRun(
                self.experiment_name,
                images.name,
                self.sha256,
                self.seed,
                self.settings,
                laboratory.rows,
                laboratory.columns,
                ordered,
                done,
                origin,
            )
            write_image_run(self.path, run)
            listener.done(len(done))


def jobs_for(
    experiment_name: str,
    data: str,
    settings: Settings,
    conditions: Sequence[str] | None,
    seeds: Sequence[int],
    out: Path,
    command_line: str = "",
) -> list[ImageJob]:
    """One job per seed; whatever cannot be is refused before anything runs.

    Raises
    ------
    NetworkError, ImageError
        An unknown experiment or condition; images that cannot be had; settings that do not fit them; no PyTorch.
    """
    pytorch()
    experiment = experiment_named(experiment_name)
    chosen = tuple(conditions) if conditions else tuple(experiment.conditions)
    for name in chosen:
        if name not in experiment.conditions or chosen.count(name) > 1:
            raise NetworkError(f"conditions: {name!r} given, allowed are {', '.join(experiment.conditions)}, each once")
    images = load_images(data)
    laboratory = Laboratory(experiment, images, settings, 0)
    if experiment_name == "ann-incremental":
        _ = laboratory.tasks
    if settings.sleep_window > min(images.shape):
        side = min(images.shape)
        size = f"{images.shape[0]} x {images.shape[1]}"
        raise NetworkError(f"sleep_window: {settings.sleep_window} given, allowed is 0 to {side} for images of {size}")
    ordered = tuple(name for name in experiment.conditions if name in chosen)
    names = [out / f"{experiment_name}_{images.name}_seed{seed:04d}.h5" for seed in seeds]
    return [
        ImageJob(experiment_name, data, images.sha256, settings, ordered, seed, path, command_line)
        for seed, path in zip(seeds, names, strict=True)
    ]


def score(
    experiment: ImageExperiment,
    images: Images,
    settings: Settings,
    condition: str,
    seeds: Sequence[int],
    stop: Callable[[], bool] = lambda: False,
) -> float:
    """Mean accuracy of a condition over seeds: what hyperparameters are chosen by.

    Over tasks after the last one in ann-incremental, over all rows and columns in the other experiments.
    """
    listener = _Asking(stop)
    found = [Laboratory(experiment, images, settings, seed, listener).run(condition).arrays["accuracy"] for seed in seeds]
    return float(np.mean([(accuracy[-1] if experiment.name == "ann-incremental" else accuracy).mean() for accuracy in found]))


class _Asking(Listener):
    def __init__(self, stop: Callable[[], bool]):
        self._stop = stop

    def stop_wanted(self) -> bool:
        """See :class:`Listener`."""
        return self._stop()
