"""Chooses hyperparameters of a condition of an experiment on seeds and images that no report uses.

Random search, or Optuna's (extra `tune`). The images are the training images alone, split anew; the seeds lie beyond those that
`ann run` takes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from foraging_snn.environments.images import Images, for_choosing
from foraging_snn.models.artificial import NetworkError
from foraging_snn.protocols.artificial import SEARCHED, Settings, experiment_named
from foraging_snn.running.artificial import score
from foraging_snn.running.errors import RunError

FIRST_SEED = 2**60  # of those that hyperparameters are chosen on; `ann run` takes none from here on
SAMPLERS = ("random", "optuna")
MAX_TRIES = 100_000
FAILED = -1.0  # score of values with which training diverges


@dataclass(frozen=True)
class Try:
    """Values that were tried, and the mean final accuracy over tasks (or rows) and seeds; negative: training failed."""

    values: dict[str, float]
    accuracy: float


@dataclass(frozen=True)
class Search:
    """What is searched.

    Attributes
    ----------
    images : Images
    settings : Settings
        With which the search begins, and whose other values stay.
    condition : str
        Of the experiment.
    tries : int
    seeds : int
        Over which accuracy is averaged.
    sampler : str
        One of `SAMPLERS`.
    experiment : str
    """

    images: Images
    settings: Settings
    condition: str
    tries: int
    seeds: int = 1
    sampler: str = "random"
    experiment: str = "ann-incremental"

    def __post_init__(self) -> None:
        known = experiment_named(self.experiment).conditions
        allowed = [name for name in SEARCHED if name in known]
        if self.condition not in allowed:
            what = "has nothing to choose" if self.condition in known else "unknown condition"
            raise NetworkError(f"{self.condition!r}: {what}, allowed are {', '.join(allowed)}")
        for name, value, most in (("--tries", self.tries, MAX_TRIES), ("--seeds", self.seeds, 1000)):
            if not 1 <= value <= most:
                raise RunError(f"{name}: {value} given, allowed is 1 to {most:,}")
        if self.sampler not in SAMPLERS:
            raise RunError(f"--sampler: {self.sampler!r} given, allowed are {', '.join(SAMPLERS)}")

    def run(self, tried: Callable[[int, Try], None] = lambda n, found: None) -> tuple[Settings, list[Try]]:
        """Search.

        Parameters
        ----------
        tried : callable, optional
            Called after each try with its number, from 1.

        Returns
        -------
        (Settings, list of Try)
            The best settings, which say what they were chosen on; all that was tried, the values of the beginning first.
        """
        images, experiment = for_choosing(self.images), experiment_named(self.experiment)
        seeds = range(FIRST_SEED, FIRST_SEED + self.seeds)
        done: list[Try] = []

        def measure(values: dict[str, float]) -> float:
            try:
                accuracy = score(experiment, images, with_values(self.settings, values), self.condition, seeds)
            except NetworkError:
                accuracy = FAILED
            done.append(Try(values, accuracy))
            tried(len(done), done[-1])
            return accuracy

        measure({})
        (_optuna if self.sampler == "optuna" else _random)(measure, ranges_of(self.condition, self.settings), self.tries - 1)
        best = max(done, key=lambda each: each.accuracy)
        if best.accuracy < 0.0:
            raise RunError(f"{self.condition}: training failed with all values that were tried")
        size = f"{self.tries} tries ({self.sampler}) x {self.seeds} seeds"
        what = self.condition if self.experiment == "ann-incremental" else f"{self.condition} of {self.experiment}"
        note = f"{what}: {size}, tested on a fifth of the training images of {images.name}"
        before = self.settings.chosen_on
        return replace(with_values(self.settings, best.values), chosen_on=f"{before}; {note}" if before else note), done


def ranges_of(condition: str, settings: Settings) -> dict[str, tuple[float, float]]:
    """What is searched for a condition, from and to; of several values each, with its place: sleep_thresholds.0."""
    found: dict[str, tuple[float, float]] = {}
    for name, limits in SEARCHED[condition].items():
        value = getattr(settings, name)
        found |= dict.fromkeys([f"{name}.{k}" for k in range(len(value))] if isinstance(value, tuple) else [name], limits)
    return found


def with_values(settings: Settings, values: dict[str, float]) -> Settings:
    """Settings with values of a search; a name with a number, as sleep_thresholds.0, is one of several."""
    changed: dict[str, Any] = {}
    for name, value in values.items():
        field_name, _, place = name.partition(".")
        if place:
            several = list(changed.get(field_name, getattr(settings, field_name)))
            several[int(place)] = value
            changed[field_name] = tuple(several)
        else:
            whole = next(each for each in fields(settings) if each.name == field_name).type in (int, "int")
            changed[field_name] = round(value) if whole else value
    return replace(settings, **changed)


def _random(measure: Callable[[dict[str, float]], float], ranges: dict[str, tuple[float, float]], tries: int) -> None:
    random = np.random.default_rng(0)
    for _ in range(tries):
        measure({name: float(np.exp(random.uniform(np.log(low), np.log(high)))) for name, (low, high) in ranges.items()})


def _optuna(measure: Callable[[dict[str, float]], float], ranges: dict[str, tuple[float, float]], tries: int) -> None:
    try:
        import optuna  # pyright: ignore[reportMissingImports] - an extra
    except ImportError:
        raise RunError(
            "--sampler: optuna is not installed: pip install '.[tune]' in a clone of foraging_snn; allowed is random"
        ) from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=0))

    def objective(trial: Any) -> float:
        return measure({name: trial.suggest_float(name, low, high, log=True) for name, (low, high) in ranges.items()})

    study.optimize(objective, n_trials=tries)


def toml_of(settings: Settings, done: Sequence[Try]) -> str:
    """Settings as TOML for `--settings`, with all that was tried in comments."""
    import tomli_w

    values = {each.name: getattr(settings, each.name) for each in fields(settings)}
    text = tomli_w.dumps({name: list(value) if isinstance(value, tuple) else value for name, value in values.items()})
    lines = [f"# {each.accuracy:.4f} {_shown(each.values)}" for each in done]
    return "\n".join([text, f"# {len(done)} tries: mean final accuracy, and the values; negative: training failed", *lines, ""])


def _shown(values: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.6g}" for name, value in values.items()) or "the values of the beginning"
