"""What becomes of a network whose strengths were perturbed: sleep, or more training, with tests on the way.

Each network, perturbed at random by a given distance, is run through a phase, and tested meanwhile without a trace (testing.py).
What was counted is kept (evaluations.py), so that networks are spread over processes, and gone on with, with the same bits.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from foraging_snn.environments.draws import Stream, stream_key, uniforms
from foraging_snn.files.landscapes import Evaluation
from foraging_snn.files.states import update_digest
from foraging_snn.models import NetworkState, Parameters, Phase, engine_class
from foraging_snn.models.rules import balance_outputs
from foraging_snn.running.evaluating import Course, EvaluationSettings, counts_of, evaluation_of, heard_by, kept, legal
from foraging_snn.running.evaluations import EvaluationLedger, Row
from foraging_snn.running.ledger import Origin
from foraging_snn.running.testing import phase_of_test, tested
from foraging_snn.running.trial import Listener


def perturbed(state: NetworkState, radius: float, draw: int, parameters: Parameters) -> tuple[NetworkState, float]:
    """A network with other strengths hidden to output, in a random direction from its own.

    Parameters
    ----------
    state : NetworkState
        Left as it is; its seed and `draw` determine the direction, which is the same for every radius.
    radius : float
        Euclidean distance, before the strengths are made legal (:func:`foraging_snn.running.evaluating.legal`).
    draw : int
        Number of the direction, from 0.
    parameters : Parameters

    Returns
    -------
    state : NetworkState
        Inhibition minus the mean of the strengths, all else as it was.
    distance : float
        Euclidean distance between the strengths as they are now and as they were.
    """
    made = state.copy()
    if radius:
        n = state.hidden_output.size
        direction = (2.0 * uniforms(stream_key(state.seed, Stream.PERTURBATION, draw), 0, n) - 1.0).reshape(
            state.hidden_output.shape
        )
        direction /= np.sqrt((direction**2).sum())
        made.hidden_output, _ = legal(state.hidden_output + radius * direction, parameters)
        frozen = np.zeros(n, bool)
        balance_outputs(made.hidden_output.reshape(-1), frozen, made.hidden_output_total, made.inhibition)
    return made, float(np.sqrt(((made.hidden_output - state.hidden_output) ** 2).sum()))


@dataclass(frozen=True)
class PerturbedRun:
    """A perturbed network and what follows; a :class:`foraging_snn.running.scheduling.Job`.

    Attributes
    ----------
    number, runs : int
        Which one of how many, from 1.
    settings : EvaluationSettings
        Of its tests.
    state : NetworkState
        Perturbed, between two phases.
    phase : Phase
        What follows.
    checks : tuple of int
        Epochs of the phase after which it is tested, ascending, from 0.
    tasks : tuple of str
    ledger : Path
        Folder of the ledger in which its results go.
    """

    number: int
    runs: int
    settings: EvaluationSettings
    state: NetworkState
    phase: Phase
    checks: tuple[int, ...]
    tasks: tuple[str, ...]
    ledger: Path

    @property
    def seed(self) -> int:
        """Of the draws."""
        return self.state.seed

    @property
    def name(self) -> str:
        """On the screen."""
        return f"network {self.number} of {self.runs}"

    @property
    def parts(self) -> int:
        """Its tests."""
        return len(self.checks) * len(self.tasks)

    @property
    def epochs(self) -> int:
        """All that it computes."""
        return self.checks[-1] + self.parts * self.settings.epochs

    @property
    def parameters(self) -> Parameters:
        """Those of the network."""
        return self.settings.parameters

    @property
    def log_path(self) -> Path:
        """Where its log goes if its process dies."""
        return self.ledger.parent / f"network{self.number:04d}.log"

    def key(self, check: int, task: str) -> str:
        """Of a result in the ledger: a digest of all that it follows from."""
        return hashlib.sha256(f"{self._what}\n{check} {self._phase_of(task)!r}".encode()).hexdigest()

    @cached_property
    def _what(self) -> str:
        digest = hashlib.sha256(f"{Origin(self.parameters, self.seed, self.settings.engine).text}\n{self.phase!r}".encode())
        update_digest(digest, self.state)
        return digest.hexdigest()

    def _phase_of(self, task: str) -> Phase:
        return phase_of_test(task, self.settings.epochs, self.parameters)

    def test_keys(self) -> list[str]:
        """Of its results, by check, then task."""
        return [self.key(check, task) for check in self.checks for task in self.tasks]

    def is_done(self) -> bool:
        """All its tests are in the ledger."""
        return set(self.test_keys()) <= EvaluationLedger(self.ledger).all().keys()

    def run(self, listener: Listener) -> None:
        """Run the phase and test the network; what was counted is kept also if it is stopped."""
        rows: dict[str, Row] = {}
        heard = heard_by(listener)
        try:
            with engine_class(self.settings.engine)(self.parameters) as engine:
                state, done = self.state, 0
                for check in self.checks:
                    if check > done:
                        listener.begin(self.phase, recorded=True)
                        state, _ = engine.run(state, self.phase, epochs=check - done, progress=heard)
                        done = check
                    for task in self.tasks:
                        listener.begin(self._phase_of(task), recorded=True)
                        record = tested(engine, state, task, self.settings.epochs, heard)
                        rows[self.key(check, task)] = counts_of(record)
                        listener.done(len(rows))
        finally:
            EvaluationLedger(self.ledger).add(rows)


def checks_of(phase: Phase, n: int) -> tuple[int, ...]:
    """The start of a phase, and `n` evenly spaced epochs of it, the last its end."""
    return tuple(sorted({round(phase.epochs * k / n) for k in range(n + 1)}))


def follow(
    states: Sequence[NetworkState],
    phase: Phase,
    checks: tuple[int, ...],
    tasks: Sequence[str],
    settings: EvaluationSettings,
    course: Course,
) -> Evaluation:
    """Run networks through a phase, and test them at some of its epochs.

    Parameters
    ----------
    states : sequence of NetworkState
        Between two phases, n of them; see :func:`perturbed`.
    phase : Phase
    checks : tuple of c int
        Epochs of the phase, ascending; 0 is its start.
    tasks : sequence of str
    settings : EvaluationSettings
    course : Course

    Returns
    -------
    Evaluation
        Shape (n, c).

    Raises
    ------
    RunError
        A network failed.
    Stopped
        It was asked to stop; what was done is in the ledger.
    """

    runs = [PerturbedRun(k, len(states), settings, state, phase, checks, tuple(tasks), Path()) for k, state in enumerate(states, 1)]
    different = {tuple(run.test_keys()): run for run in runs}

    def jobs(missing: set[str], folder: Path) -> list[PerturbedRun]:
        return [replace(run, ledger=folder) for keys, run in different.items() if missing & set(keys)]

    flat = [key for run in runs for key in run.test_keys()]
    rows = kept(flat, jobs, course)
    return evaluation_of([rows[key] for key in flat], tasks, np.zeros((len(states), len(checks))))
