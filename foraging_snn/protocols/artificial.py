"""The experiments with networks without spikes, as data: what they ask, their conditions, and the settings that go with images.

What a condition does, foraging_snn/running/artificial.py says. The language of the foraging protocols has worlds, not images,
and no place for shares of data or noise; so these are rows of a table.
"""

import json
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from foraging_snn.models.artificial import NetworkError


@dataclass(frozen=True)
class ImageExperiment:
    """One experiment.

    Attributes
    ----------
    name, question : str
    conditions : mapping of str to str
        What is done, by name, with its meaning; the first is the one that the others are compared with.
    rows, columns : str
        What the rows and columns of its accuracies are.
    """

    name: str
    question: str
    conditions: Mapping[str, str]
    rows: str
    columns: str


REMEMBERING = {
    "none": "fine-tuning alone: each task is trained after the other",
    "sleep": "sleep after each task, driven by the mean of the images seen",
    "sleep-end": "sleep once, after the last task",
    "sleep-noise": "control: sleep after each task, driven by noise of one rate, without any data",
    "replay": "a buffer of random old images is rehearsed",
    "replay-selective": "the same, of the images with the largest error",
    "mean-image": "the mean image of each old class is rehearsed",
    "elastic": "elastic weight consolidation",
    "all": "ceiling: all tasks at once, as many updates in all",
}
LONGER = {
    "none": "training alone",
    "sleep": "sleep after it",
    "longer": "as many more updates as the sleep has steps",
    "sleep-tuned": "sleep, then fine-tuning",
    "longer-tuned": "longer, then fine-tuning",
}
EXPERIMENTS = {
    row.name: row
    for row in (
        ImageExperiment(
            "ann-incremental",
            "Tasks of some classes each, one after the other: what is left of the old ones, in a choice among all classes?",
            REMEMBERING,
            "after task",
            "tested on task",
        ),
        ImageExperiment(
            "ann-limited",
            "All classes at once, a share of the data: does sleep help beyond longer training?",
            LONGER,
            "% of the data",
            "tested on",
        ),
        ImageExperiment(
            "ann-unbalanced",
            "Half of the classes have a tenth of their images: what becomes of them?",
            LONGER,
            "trained on",
            "tested on",
        ),
        ImageExperiment(
            "ann-noise",
            "Trained on clean, blurred or noisy images: how well does the network do on the others?",
            LONGER,
            "trained on",
            "tested on",
        ),
    )
}


@dataclass(frozen=True)
class Settings:
    """Everything that a run of an experiment depends on, besides images and seed.

    The metadata of a field are its meaning and what is allowed, (least, most); all can be set by `--set NAME=VALUE`.
    """

    hidden: tuple[int, ...] = field(default=(1200, 1200), metadata={"meaning": "cells of the hidden layers", "range": (1, 100_000)})
    classes_per_task: int = field(default=2, metadata={"meaning": "of ann-incremental", "range": (1, 1000)})
    images_per_task: int = field(default=5000, metadata={"meaning": "at most, for training", "range": (1, 10**9)})
    epochs: float = field(default=2.0, metadata={"meaning": "times that each image is shown", "range": (0.01, 10_000)})
    tuning_epochs: float = field(
        default=1.0, metadata={"meaning": "of fine-tuning after sleep or longer training", "range": (0.01, 10_000)}
    )
    rate: float = field(default=0.1, metadata={"meaning": "of learning, per update", "range": (1e-9, 1e3)})
    momentum: float = field(default=0.5, metadata={"meaning": "of gradient descent", "range": (0.0, 0.999)})
    batch: int = field(default=100, metadata={"meaning": "images per update", "range": (1, 100_000)})
    dropout: float = field(default=0.25, metadata={"meaning": "share of hidden cells silenced in an update", "range": (0.0, 0.9)})
    initial: float = field(
        default=0.01, metadata={"meaning": "initial weights are uniform within plus and minus this", "range": (1e-9, 1e3)}
    )
    sleep_rate: float = field(default=200.0, metadata={"meaning": "r, spikes/s of a pixel of value 1/2", "range": (0.0, 1e6)})
    sleep_increase: float = field(
        default=0.04, metadata={"meaning": "inc, of a weight from a cell that spiked", "range": (0.0, 1e3)}
    )
    sleep_decrease: float = field(
        default=0.003, metadata={"meaning": "dec, of a weight from a cell that did not", "range": (0.0, 1e3)}
    )
    sleep_thresholds: tuple[float, ...] = field(
        default=(30.0, 30.0, 30.0), metadata={"meaning": "beta, of the layers", "range": (0.0, 1e6)}
    )
    sleep_scale: float = field(default=40.0, metadata={"meaning": "a, of the weights asleep", "range": (0.0, 1e6)})
    sleep_window: int = field(
        default=11, metadata={"meaning": "side of the window, pixels; 0: all of the image", "range": (0, 10_000)}
    )
    sleep_steps: int = field(default=15_000, metadata={"meaning": "of 1 ms, of the first sleep", "range": (1, 10_000_000)})
    sleep_more_steps: int = field(default=5_000, metadata={"meaning": "more for each further task", "range": (0, 10_000_000)})
    noise_rate: float = field(
        default=0.1, metadata={"meaning": "value of all pixels in the sleep without data", "range": (0.0, 1.0)}
    )
    buffer: int = field(default=200, metadata={"meaning": "stored images of all old classes together", "range": (1, 10**9)})
    replay_weight: float = field(default=1.0, metadata={"meaning": "of the error of stored images", "range": (0.0, 1e6)})
    mean_weight: float = field(default=1.0, metadata={"meaning": "of the error of mean images", "range": (0.0, 1e6)})
    elastic_strength: float = field(default=100.0, metadata={"meaning": "of the pull to consolidated weights", "range": (0.0, 1e6)})
    shares: tuple[float, ...] = field(
        default=(1.0, 10.0, 100.0), metadata={"meaning": "of the data, %, in ann-limited", "range": (1e-4, 100.0)}
    )
    chosen_on: str = field(
        default="", metadata={"meaning": "what the values were chosen on, and how many tries it took", "range": ()}
    )

    def __post_init__(self) -> None:
        for each in fields(self):
            if each.metadata["range"]:
                _check(each.name, getattr(self, each.name), *each.metadata["range"])
        if len(self.sleep_thresholds) != len(self.hidden) + 1:
            n = f"{len(self.sleep_thresholds)} given for {len(self.hidden)} hidden layers"
            raise NetworkError(f"sleep_thresholds: {n}, allowed is one for each of them and one for the output")

    def as_json(self) -> str:
        """All values, by name."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> "Settings":
        """What :meth:`as_json` gave."""
        return cls()._changed(json.loads(text), "settings")

    def with_changes(self, changes: Mapping[str, str]) -> "Settings":
        """Other values, as text, e.g. {"hidden": "64,64", "epochs": "3"}.

        Raises
        ------
        NetworkError
            An unknown name, or a value that is not allowed.
        """
        return self._changed({name: _number_or_numbers(name, text) for name, text in changes.items()}, "--set")

    def with_file(self, path: Path) -> "Settings":
        """Values from a TOML file, as `foraging-snn ann tune` writes it.

        Raises
        ------
        NetworkError
        """
        try:
            return self._changed(tomllib.loads(path.read_text(encoding="utf-8")), str(path))
        except OSError as problem:
            raise NetworkError(f"{path}: cannot be read: {problem.strerror}") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as problem:
            raise NetworkError(f"{path}: not TOML: {' '.join(str(problem).split())}") from None

    def _changed(self, values: Mapping[str, object], where: str) -> "Settings":
        known = {each.name: type(getattr(self, each.name)) for each in fields(self)}
        made: dict[str, Any] = {}
        for name, value in values.items():
            if name not in known:
                raise NetworkError(f"{where}: {name!r} is no setting, allowed are {', '.join(known)}")
            made[name] = _as(known[name], name, value)
        return replace(self, **made)


def _check(name: str, value: Any, least: float, most: float) -> None:
    numbers: tuple[float, ...] = value if isinstance(value, tuple) else (value,)
    for number in numbers:
        if not least <= number <= most:
            raise NetworkError(f"{name}: {number:g} given, allowed is {least:g} to {most:g}")


def _as(kind: type, name: str, value: object) -> object:
    """A value of the type of the default."""
    whole = name in ("hidden",) or kind is int
    if kind is str:
        return str(value)
    if kind is tuple:
        numbers = value if isinstance(value, (list, tuple)) else [value]
        return tuple(_one(name, number, whole) for number in numbers)
    return _one(name, value, whole)


def _one(name: str, value: object, whole: bool) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or (whole and value != int(value)):
        raise NetworkError(f"{name}: {value!r} given, allowed is a {'whole ' if whole else ''}number")
    return int(value) if whole else float(value)


def _number_or_numbers(name: str, text: str) -> object:
    if name == "chosen_on":
        return text
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        raise NetworkError(f"{name}: {text!r} given, allowed are numbers, with commas between if there are several") from None
    return numbers if len(numbers) > 1 else numbers[0]


_SLEEP = {
    "sleep_rate": (50.0, 500.0),
    "sleep_increase": (0.003, 0.1),
    "sleep_decrease": (0.0003, 0.03),
    "sleep_thresholds": (1.0, 100.0),
    "sleep_scale": (5.0, 100.0),
}
SEARCHED = {  # by `ann tune`: settings of a condition, from and to, evenly on a logarithmic scale
    "sleep": _SLEEP,
    "sleep-tuned": _SLEEP,
    "sleep-end": _SLEEP,
    "sleep-noise": _SLEEP | {"noise_rate": (0.02, 1.0)},
    "replay": {"replay_weight": (0.1, 10.0)},
    "replay-selective": {"replay_weight": (0.1, 10.0)},
    "mean-image": {"mean_weight": (0.1, 10.0)},
    "elastic": {"elastic_strength": (1.0, 1e5)},
}
PUBLISHED = "a genetic search in the work of Tadros et al. 2022"
_LAYERS = {"sleep_increase": 0.032064, "sleep_decrease": 0.003344, "chosen_on": PUBLISHED}
MNIST = Settings(**_LAYERS, sleep_rate=239.515363, sleep_thresholds=(14.548273, 44.560317, 38.046326), sleep_scale=55.882454)
FASHION_MNIST = replace(
    MNIST, sleep_rate=181.047258, sleep_increase=0.041001, sleep_thresholds=(40.446884, 27.596929, 33.109393), sleep_scale=31.592987
)
DIGITS = Settings(
    hidden=(100, 100),
    epochs=10.0,
    initial=0.05,
    batch=20,
    tuning_epochs=5.0,
    sleep_rate=78.3569,
    sleep_increase=0.0227442,
    sleep_decrease=0.00480396,
    sleep_thresholds=(84.1097, 1.39486, 9.99875),
    sleep_scale=46.4583,
    sleep_window=4,
    sleep_steps=2000,
    sleep_more_steps=1000,
    replay_weight=1.6340733664249785,
    mean_weight=2.877352845007084,
    shares=(2.0, 10.0, 100.0),
    chosen_on="sleep: 40 tries, replay, mean-image: 10 each (random) x 1 seeds, tested on a fifth of the training images "
    "of digits; the others by hand",
)
SETTINGS = {"digits": DIGITS, "mnist-5000": replace(MNIST, epochs=10.0), "fashion-mnist": FASHION_MNIST}


def settings_for(data: str) -> Settings:
    """The settings that go with images; those of MNIST for others."""
    return SETTINGS.get(data, MNIST)


def experiment_named(name: str) -> ImageExperiment:
    """One of `EXPERIMENTS`; NetworkError if there is none of this name."""
    if name not in EXPERIMENTS:
        raise NetworkError(f"{name!r}: unknown experiment, allowed are {', '.join(EXPERIMENTS)}")
    return EXPERIMENTS[name]
