"""Two engines beside each other: the event engine's approximations, measured against the compiled Brian2 network.

Epochs are compared one by one, each started on both sides from the same state (the reference's) with the same draws; strengths also
after a stretch that both engines run on their own. Learning curves are compared over seeds.
"""

from dataclasses import dataclass

import numpy as np
import typer

from foraging_snn.analysis.statistics import PERMUTATIONS, PermutationTest, compare_curves, compare_paired
from foraging_snn.commands.terminal import add_row, new_table, print_table
from foraging_snn.models import Activity, Block, Engine, FullRecorder, NetworkState, Parameters, Phase, engine_class, initial_state
from foraging_snn.running.starting import packaged_states, read_start

STRETCH_EPOCHS = 1000  # that both engines run on their own


@dataclass(frozen=True)
class EpochComparison:
    """One kind of phase.

    Attributes
    ----------
    phase : str
    epochs : int
        Compared one by one.
    same_hidden, same_output, same_moves : float
        Share of the epochs with identical hidden spikes (cells and steps), identical output spikes, the same
        output spike counts, so the same next move.
    strength_after_epoch, strength_after_stretch : float
        Largest relative difference of a strength after one epoch, and after `stretch_epochs` run by both on their own.
    stretch_epochs : int
    first_difference : int
        Epoch of that stretch in which spikes first differ; -1: none does.
    """

    phase: str
    epochs: int
    same_hidden: float
    same_output: float
    same_moves: float
    strength_after_epoch: float
    strength_after_stretch: float
    stretch_epochs: int
    first_difference: int


@dataclass(frozen=True)
class CurveComparison:
    """Learning curves over seeds.

    Attributes
    ----------
    seeds : int
    performance, reference : (seeds, bins) float
        Performance over the training phase, in bins.
    mean : PermutationTest
        Paired by seed, of the mean performance.
    largest_bin : PermutationTest
        The same for the largest absolute mean difference of any bin, so for the shape of the curve.
    """

    seeds: int
    performance: np.ndarray
    reference: np.ndarray
    mean: PermutationTest
    largest_bin: PermutationTest


def phases_to_compare(parameters: Parameters) -> list[Phase]:
    """One phase of each kind, long enough for any comparison."""
    awake, asleep = parameters.phases.block_epochs, parameters.sleep.block_epochs
    kinds = {
        "unsupervised": (Block(Activity.UNSUPERVISED, awake),),
        "training": (Block(Activity.train("T1"), awake),),
        "test": (Block(Activity.test("T1"), awake),),
        "interleaved sleep": (Block(Activity.train("T2"), awake), Block(Activity.SLEEP, asleep)),
    }
    return [Phase(name, blocks, 10**9) for name, blocks in kinds.items()]


def compare_epochs(engine: Engine, reference: Engine, state: NetworkState, phase: Phase, epochs: int) -> EpochComparison:
    """Compare epochs one by one, both engines started from the reference's state every time.

    Parameters
    ----------
    state : NetworkState
        Where the phase begins.
    epochs : int
    """
    n_input, n_hidden = engine.parameters.n_input, engine.parameters.n_hidden
    first_output = n_input + n_hidden
    stretch = min(STRETCH_EPOCHS, epochs)
    strength_after_stretch, first_difference = _compare_stretch(engine, reference, state, phase, stretch)
    same = np.zeros(3)
    strength = 0.0
    for _ in range(epochs):
        ours, theirs = FullRecorder(), FullRecorder()
        after, _ = engine.run(state, phase, epochs=1, recorder=ours)
        state, _ = reference.run(state, phase, epochs=1, recorder=theirs)
        spikes = [np.column_stack((r.column("spike_step"), r.column("spike_cell"))) for r in (ours, theirs)]
        hidden = [s[s[:, 1] < first_output] for s in spikes]
        output = [s[s[:, 1] >= first_output] for s in spikes]
        same += np.array_equal(hidden[0], hidden[1]), np.array_equal(output[0], output[1]), _counts_equal(output, first_output)
        strength = max(strength, _largest_difference(after, state))
    share = same / epochs
    return EpochComparison(
        phase.name, epochs, share[0], share[1], share[2], strength, strength_after_stretch, stretch, first_difference
    )


def _counts_equal(output: list[np.ndarray], first_output: int) -> bool:
    """Whether the output spikes of an epoch lead to the same next move: the same count for every output cell."""
    ours, theirs = (np.bincount(spikes[:, 1] - first_output, minlength=8) for spikes in output)
    return np.array_equal(ours, theirs)


def _compare_stretch(engine: Engine, reference: Engine, state: NetworkState, phase: Phase, epochs: int) -> tuple[float, int]:
    ours, theirs = FullRecorder(), FullRecorder()
    after, _ = engine.run(state, phase, epochs=epochs, recorder=ours)
    expected, _ = reference.run(state, phase, epochs=epochs, recorder=theirs)
    spikes = [np.column_stack((r.column("spike_step"), r.column("spike_cell"))) for r in (ours, theirs)]
    n = min(len(s) for s in spikes)
    differing = np.flatnonzero((spikes[0][:n] != spikes[1][:n]).any(axis=1))
    first = -1
    if len(differing) or len(spikes[0]) != len(spikes[1]):
        at = differing[0] if len(differing) else n - 1
        first = int(spikes[1][at, 0] // engine.parameters.timing.steps_per_epoch - state.epoch)
    return _largest_difference(after, expected), first


def _largest_difference(a: NetworkState, b: NetworkState) -> float:
    """Largest relative difference of a strength."""
    return max(
        float(np.max(np.abs(getattr(a, name) / getattr(b, name) - 1.0))) for name in ("input_hidden", "hidden_output", "inhibition")
    )


def learning_curve(engine: Engine, state: NetworkState, seed: int, aeons: int, bins: int) -> np.ndarray:
    """Performance in a training phase on Task 1 from `state` with another seed, in `bins` equal bins, (bins,)."""
    state = state.copy()
    state.seed = seed
    epochs_per_aeon = engine.parameters.timing.epochs_per_aeon
    phase = Phase("T1", (Block(Activity.train("T1"), engine.parameters.phases.block_epochs),), aeons * epochs_per_aeon)
    _, record = engine.run(state, phase)
    rewarded, punished = (
        np.array([part.sum() for part in np.array_split(record.counts[name], bins)]) for name in ("rewarded", "punished")
    )
    return rewarded / np.maximum(rewarded + punished, 1)


def compare_learning(performance: np.ndarray, reference: np.ndarray) -> CurveComparison:
    """Paired permutation tests between learning curves of two engines.

    Parameters
    ----------
    performance, reference : (seeds, bins) float
        At least two seeds, the same of both.
    """
    mean = compare_paired(performance.mean(axis=1), reference.mean(axis=1)).test
    largest_bin = compare_curves(performance, reference)
    if mean is None or largest_bin is None:
        raise ValueError(f"seeds: {len(performance)} given, allowed is at least 2")
    return CurveComparison(len(performance), performance, reference, mean, largest_bin)


TRAINING_AEONS = 500  # before the phases of a trained network are compared
CURVE_BINS = 10


def compare_engines_and_print(engine_name: str, reference_name: str, *, epochs: int, seeds: int, aeons: int) -> None:
    """Run the whole comparison and print it.

    Parameters
    ----------
    epochs : int
        Of each kind of phase, compared one by one.
    seeds, aeons : int
        Learning curves: number of seeds (0: none), and aeons of training of each.
    """
    start = read_start(next(iter(packaged_states())))
    parameters = start.parameters
    with engine_class(engine_name)(parameters) as engine, engine_class(reference_name)(parameters) as reference:
        unsupervised, training, *others = phases_to_compare(parameters)
        trained, _ = engine.run(start.state, training, epochs=TRAINING_AEONS * parameters.timing.epochs_per_aeon)
        trained.phase_epoch = 0
        typer.echo(
            f"{engine_name} beside {reference_name}; from a new network, and from {start} after {TRAINING_AEONS} aeons of Task 1"
        )
        table = new_table(
            "phase",
            ">epochs",
            ">same hidden spikes",
            ">same output spikes",
            ">same moves",
            ">strengths: 1 epoch",
            ">free run",
            ">first difference",
        )
        for state, phase in ((initial_state(parameters, 1), unsupervised), *((trained, phase) for phase in (training, *others))):
            result = compare_epochs(engine, reference, state, phase, epochs)
            add_row(
                table,
                result.phase,
                result.epochs,
                f"{result.same_hidden:.2%}",
                f"{result.same_output:.2%}",
                f"{result.same_moves:.2%}",
                f"{result.strength_after_epoch:.1e}",
                f"{result.strength_after_stretch:.1e}",
                f"epoch {result.first_difference}" if result.first_difference >= 0 else f"none in {result.stretch_epochs}",
            )
        print_table(table)
        typer.echo(
            "Epoch by epoch from the same states with the same draws: share with identical spikes (cells and steps), with the\n"
            "same move; largest relative difference of a strength after one epoch, and after "
            f"{min(STRETCH_EPOCHS, epochs)} epochs that both engines run\non their own, where the first difference of a spike soon "
            "leads the agent elsewhere."
        )
        if seeds:
            _print_curves(engine, reference, start.state, seeds, aeons)


def _print_curves(engine: Engine, reference: Engine, state: NetworkState, seeds: int, aeons: int) -> None:
    curves = [
        np.array([learning_curve(simulator, state, seed, aeons, CURVE_BINS) for seed in range(seeds)])
        for simulator in (engine, reference)
    ]
    result = compare_learning(*curves)
    table = new_table(f"learning curve, {seeds} seeds", *(f">{int((k + 0.5) * aeons / CURVE_BINS)}" for k in range(CURVE_BINS)))
    for name, performance in ((engine.name, result.performance), (reference.name, result.reference)):
        add_row(table, name, *(f"{value:.3f}" for value in performance.mean(axis=0)))
    print_table(table)
    typer.echo(
        f"Mean performance in {CURVE_BINS} bins of {aeons} aeons of Task 1. Paired permutation tests over seeds "
        f"({f'all {2**seeds:,}' if result.mean.exact else f'{PERMUTATIONS:,} random'} sign flips): mean performance "
        f"p = {result.mean.p_value:.3f}, largest bin p = {result.largest_bin.p_value:.3f}."
    )
