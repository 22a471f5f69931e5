"""A spiking network that learns to forage, forgets, and remembers with sleep (Golden et al. 2022).

Settings
    Parameters          every value of the model, with unit, meaning, source and allowed range
    preset, PRESETS     parameters by name: full (as published), enough, quick, tiny

What a network does
    Task, TASKS         which particles are rewarded and which punished; Task 1 and Task 2 of the paper, and four more
    Particle, PARTICLES which squares a particle covers; those of the paper, and eight more
    Activity, Block     what happens in an epoch: training, test, sleep ...; a stretch of one activity
    Phase               blocks that follow each other in turn, for a number of epochs
    Rule                something of one's own that is done to the state every so many epochs of a phase
    experiments         the catalogue: every experiment of the paper as a sequence of phases; `experiment` gives one by name
    protocol            an experiment of one's own from a text, e.g. protocol("T1 -> I(S,T2) -> T1", parameters); `rates_of` for
                        sleep with the rates of a state in a file

Running it
    initial_state       a new network, drawn from a seed: a NetworkState, NumPy arrays and nothing else
    engine_class        an engine by name (ENGINES lists them); `engine.run(state, phase)` gives the next state and a record
    performance         rewarded / (rewarded + punished) particles; chance is 0.5
    run_trial           run an experiment and record it in a file
    evaluate            test many strengths of one network on some tasks

Files
    Trial               reads the file of a trial; RecordingError says in one line why it cannot
    load_state          reads a saved state; `save_state` writes one

Example: train Task 1 in a small fraction of the time that it takes, and read the tests that follow.

    from foraging_snn import Trial, engine_class, experiment, preset, run_trial

    parameters = preset("tiny")
    with engine_class("event")(parameters) as engine:
        run_trial(experiment("task1", parameters), parameters, seed=1, engine=engine, path="task1.h5")
    print(Trial("task1.h5").test_results())

The names are loaded when they are first used. More is in the packages `environments`, `models`, `files`, `running` and `analysis`.
Importing foraging_snn makes the world known to Gymnasium: `gymnasium.make("foraging_snn/Foraging-v0")`.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from foraging_snn.registration import register_with_gymnasium

if TYPE_CHECKING:
    from foraging_snn.environments import PARTICLES, TASKS, Particle, Task
    from foraging_snn.files.layout import RecordingError
    from foraging_snn.files.reader import Trial
    from foraging_snn.files.states import load_state, save_state
    from foraging_snn.models import (
        ENGINES,
        PRESETS,
        Activity,
        Block,
        NetworkState,
        Parameters,
        Phase,
        Rule,
        engine_class,
        initial_state,
        performance,
        preset,
    )
    from foraging_snn.protocols import experiment, experiments, protocol
    from foraging_snn.running.evaluating import evaluate
    from foraging_snn.running.starting import rates_of
    from foraging_snn.running.trial import run_trial

    __version__: str

_PLACES = {
    "environments": ("PARTICLES", "TASKS", "Particle", "Task"),
    "files.layout": ("RecordingError",),
    "files.reader": ("Trial",),
    "files.states": ("load_state", "save_state"),
    "models": (
        "ENGINES",
        "PRESETS",
        "Activity",
        "Block",
        "NetworkState",
        "Parameters",
        "Phase",
        "Rule",
        "engine_class",
        "initial_state",
        "performance",
        "preset",
    ),
    "protocols": ("experiment", "experiments", "protocol"),
    "running.evaluating": ("evaluate",),
    "running.starting": ("rates_of",),
    "running.trial": ("run_trial",),
}
_PLACE = {name: place for place, names in _PLACES.items() for name in names}

__all__ = [
    "ENGINES",
    "PARTICLES",
    "PRESETS",
    "TASKS",
    "Activity",
    "Block",
    "NetworkState",
    "Parameters",
    "Particle",
    "Phase",
    "RecordingError",
    "Rule",
    "Task",
    "Trial",
    "__version__",
    "engine_class",
    "evaluate",
    "experiment",
    "experiments",
    "initial_state",
    "load_state",
    "performance",
    "preset",
    "protocol",
    "rates_of",
    "run_trial",
    "save_state",
]


def __getattr__(name: str) -> object:
    if name == "__version__":
        value: object = import_module("foraging_snn.version").this_version().number
    elif name in _PLACE:
        value = getattr(import_module(f"foraging_snn.{_PLACE[name]}"), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


register_with_gymnasium()
