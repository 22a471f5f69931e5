"""Speed and memory of the engines, side by side in one run: `python -m foraging_snn.benchmark`.

Every engine is measured in a process of its own, one core each, in several rounds that go through all engines; the best round
counts. The network is the packaged one after the unsupervised phase, then trained on Task 1 for a while by the event engine.
`--scaling` measures the event engine instead: its cost against the number of hidden cells and the size of the field of view, in
networks whose hidden cells were brought near their target rate by a short unsupervised phase with fast homeostasis, and several
trials at once on one core and on more.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer
from joblib import Parallel, delayed

from foraging_snn.commands.terminal import add_row, new_table, print_table
from foraging_snn.files.states import load_state, save_state
from foraging_snn.models import Activity, Block, Engine, NetworkState, Parameters, Phase, engine_class, initial_state, preset
from foraging_snn.running.starting import packaged_states, read_start

ENGINES = {
    "Brian2 runtime, NumPy": ("brian2-runtime", {"codegen": "numpy"}),
    "Brian2 runtime, Cython": ("brian2-runtime", {"codegen": "cython"}),
    "Brian2 compiled, default flags": ("brian2", {"flags": "default"}),
    "Brian2 compiled, strict flags": ("brian2", {"flags": "strict"}),
    "event": ("event", {}),
}
ACTIVITIES = {
    "unsupervised": Activity.UNSUPERVISED,
    "training": Activity.train("T1"),
    "test": Activity.test("T1"),
    "sleep": Activity.SLEEP,
}
TRAINING_AEONS = 5000  # of preset enough
HIDDEN_CELLS = (784, 1568, 3136, 6272, 12544)
FIELDS = (7, 9, 11, 13, 15)
SETTLING = {"homeostasis.hidden_step": 1e-3, "homeostasis.rate_average": 1e-2}
SETTLING_EPOCHS = 30_000


def prepare(path: Path, aeons: int) -> None:
    """Write the state that all engines start from: the packaged start state, trained on Task 1."""
    start = read_start(next(iter(packaged_states())))
    epochs = aeons * start.parameters.timing.epochs_per_aeon
    with engine_class("event")(start.parameters) as engine:
        state, _ = engine.run(start.state, Phase("T1", (Block(Activity.train("T1"), 100),), epochs))
    save_state(path, state, start.parameters, note=f"packaged start state, {aeons} aeons of Task 1")


def speed(engine: Engine, state: NetworkState, activity: Activity, seconds: float) -> float:
    """Epochs per second in one activity, over about `seconds`; the time that a run needs to begin is not counted."""
    phase = Phase(activity.name, (Block(activity, 100),), 10**9)
    state = state.copy()
    state.input_hidden_frozen = activity != Activity.UNSUPERVISED

    def seconds_of(epochs: int) -> float:
        began = time.perf_counter()
        engine.run(state, phase, epochs=epochs)
        return time.perf_counter() - began

    seconds_of(2)
    beginning = seconds_of(2)
    epochs = 4
    while True:
        passed = seconds_of(epochs) - beginning
        if passed > 0.5 * seconds:
            return (epochs - 2) / passed
        epochs *= min(8, max(2, int(0.8 * seconds / max(passed, 1e-3))))


def measure(name: str, path: Path, seconds: float) -> dict[str, float]:
    """Speeds of one engine in this process, its peak memory and its time to start, in MB and seconds."""
    began = time.perf_counter()
    engine_name, options = ENGINES[name]
    saved = load_state(path)
    with engine_class(engine_name)(saved.parameters, **options) as engine:
        engine.run(saved.state, Phase("start", (Block(Activity.test("T1"), 100),), 1))
        result = {"start": time.perf_counter() - began}
        result |= {label: speed(engine, saved.state, activity, seconds) for label, activity in ACTIVITIES.items()}
        kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss + engine.worker_kilobytes()
    return result | {"memory": kilobytes / 1024}


def _measure_apart(name: str, path: Path, seconds: float) -> dict[str, float]:
    command = [sys.executable, "-m", "foraging_snn.benchmark", "--measure", name, "--state", str(path), "--seconds", str(seconds)]
    one_core = dict.fromkeys(("OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    result = subprocess.run(command, capture_output=True, text=True, env=os.environ | one_core)
    if result.returncode != 0:
        raise RuntimeError(f"{name}: {result.stderr.strip().splitlines()[-1] if result.stderr.strip() else 'failed'}")
    return json.loads(result.stdout.strip().splitlines()[-1])


def settled(parameters: Parameters, epochs: int) -> NetworkState:
    """A network whose hidden cells fire near their target rate: an unsupervised phase with fast homeostasis."""
    fast = parameters.with_changes(SETTLING)
    with engine_class("event")(fast) as engine:
        state, _ = engine.run(initial_state(fast, 0), Phase("settling", (Block(Activity.UNSUPERVISED, 100),), epochs))
    return state


def scaling_row(changes: dict[str, int], seconds: float) -> tuple[float, list[float]]:
    """Hidden spikes per epoch in training, and microseconds per epoch in each activity."""
    parameters = preset("enough").with_changes(changes)
    state = settled(parameters, SETTLING_EPOCHS)
    state.hidden_rate[:] = parameters.homeostasis.hidden_target_rate
    training = Phase("T1", (Block(Activity.train("T1"), 100),), 1000)
    with engine_class("event")(parameters) as engine:
        _, record = engine.run(state, training)
        spikes = record.counts["hidden_spikes"].sum() / training.epochs
        return spikes, [1e6 / speed(engine, state, activity, seconds) for activity in ACTIVITIES.values()]


def print_scaling(seconds: float, cores: int) -> None:
    """Cost of the event engine against the sizes of the layers, and of trials at once on one core and on more."""
    labels = [f">{label}" for label in ACTIVITIES]
    for title, name, values in (
        ("hidden cells", "network.hidden_cells", HIDDEN_CELLS),
        ("side of the field", "world.field", FIELDS),
    ):
        table = new_table(f"{title}: microseconds per epoch, one core", ">hidden spikes per epoch", *labels)
        for value in values:
            spikes, costs = scaling_row({name: value}, seconds)
            add_row(table, str(value), f"{spikes:.1f}", *(f"{cost:.1f}" for cost in costs))
        print_table(table)
    table = new_table("trials at once", ">training epochs per second, all together")
    for jobs in range(1, cores + 1):
        speeds = Parallel(n_jobs=jobs)(delayed(_one_trial)(seconds) for _ in range(jobs))
        add_row(table, f"{jobs} on {jobs} core{'s' if jobs > 1 else ''}", f"{sum(speed for speed in speeds if speed):,.0f}")
    print_table(table)


def _one_trial(seconds: float) -> float:
    start = read_start(next(iter(packaged_states())))
    with engine_class("event")(start.parameters) as engine:
        return speed(engine, start.state, Activity.train("T1"), seconds)


def main(
    seconds: Annotated[float, typer.Option(help="Length of one measurement.")] = 4.0,
    rounds: Annotated[int, typer.Option(help="Rounds through all engines; the best counts.")] = 2,
    measured: Annotated[str | None, typer.Option("--measure", hidden=True)] = None,
    state: Annotated[Path | None, typer.Option(hidden=True)] = None,
    scaling: Annotated[bool, typer.Option("--scaling", help="Event engine only, networks of several sizes.")] = False,
) -> None:
    """Measure all engines."""
    if scaling:
        print_scaling(seconds, os.cpu_count() or 1)
        return
    if measured and state:
        typer.echo(json.dumps(measure(measured, state, seconds)))
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "state.h5"
        prepare(path, TRAINING_AEONS)
        results: dict[str, list[dict[str, float]]] = {name: [] for name in ENGINES}
        for round_ in range(rounds + 1):  # the first round fills the caches of compiled code and is not counted
            for name in ENGINES:
                result = _measure_apart(name, path, seconds if round_ else 0.1)
                results[name] += [result] if round_ else []
    table = new_table("epochs per second, one core", *(f">{label}" for label in ACTIVITIES), ">start s", ">peak MB")
    for name, measurements in results.items():
        speeds = [f"{max(m[label] for m in measurements):,.0f}" for label in ACTIVITIES]
        best = [f"{min(m[key] for m in measurements):.{digits}f}" for key, digits in (("start", 1), ("memory", 0))]
        add_row(table, name, *speeds, *best)
    print_table(table)
    typer.echo(
        f"best of {rounds} rounds of {seconds:g} s; Task 1 trained for {TRAINING_AEONS} aeons; memory with its worker processes"
    )


if __name__ == "__main__":
    typer.run(main)
