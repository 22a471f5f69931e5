"""Elastic consolidation, a rule between epochs: strengths that mattered to what was learned are pulled back to what they were.

It is elastic weight consolidation (Kirkpatrick et al., PNAS 114: 3521, 2017; over several tasks as in Schwarz et al., ICML 2018)
for a local, reward-modulated rule, which has no gradient of a loss; synaptic intelligence (Zenke, Poole & Ganguli, ICML 2017) is
its relative. What it accumulates, and why, is described in docs/remembering.md.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, TypeVar

import numpy as np

from foraging_snn.models.between import Rule
from foraging_snn.models.parameters import Parameters
from foraging_snn.models.phases import Phase
from foraging_snn.models.rules import Rules, aged_traces

if TYPE_CHECKING:
    from foraging_snn.models.state import NetworkState

S = TypeVar("S")


@dataclass(frozen=True, kw_only=True)
class Elastic(Rule):
    """Pull strengths from hidden to output cells back to those after the last training, in proportion to their importance.

    Parameters
    ----------
    strength : float
        Of the pull, each time: with the mean importance a strength W becomes (W + strength W*) / (1 + strength), W* being that
        to which it is pulled. 0: importances are gathered, nothing is pulled.
    every : int
        Epochs between two pulls.
    """

    strength: float = 0.0
    every: int = 100  # pyright: ignore[reportIncompatibleVariableOverride] - a parameter here

    name: ClassVar[str] = "elastic"
    memory: ClassVar[tuple[str, ...]] = ("gathered", "importance", "consolidated")

    def begin(self, state: "NetworkState", phase: Phase, parameters: Parameters) -> None:
        """Nothing is gathered yet in this phase."""
        self.rows(state)["gathered"][:] = 0.0

    def apply(self, state: "NetworkState", phase: Phase, parameters: Parameters) -> None:
        """Gather, if the epoch before trained a task; pull."""
        remembered = self.rows(state)
        if phase.block_at(state.phase_epoch - 1)[0].trained_task:
            remembered["gathered"] += eligibilities(state, parameters) ** 2
        if self.strength > 0.0 and remembered["importance"].any():
            pull = self.strength * remembered["importance"]
            state.hidden_output = (state.hidden_output + pull * remembered["consolidated"]) / (1.0 + pull)

    def end(self, state: "NetworkState", phase: Phase, parameters: Parameters) -> None:
        """What was gathered becomes importance, with a mean of 1 over the synapses, beside that of earlier phases."""
        remembered = self.rows(state)
        if remembered["gathered"].any():
            remembered["importance"] += remembered["gathered"] / remembered["gathered"].mean()
            remembered["consolidated"][:] = state.hidden_output


def eligibilities(state: "NetworkState", parameters: Parameters) -> np.ndarray:
    """Sum of the live traces of each synapse from hidden to output cells, (H, 8), aged as at the latest boundary."""
    boundary = (state.epoch - 1) * parameters.timing.steps_per_epoch
    value, step = state.hidden_output_trace_value, state.hidden_output_trace_step
    aged = aged_traces(value, step, boundary, Rules.of(parameters))
    summed = np.zeros(state.hidden_output.size)
    np.add.at(summed, state.hidden_output_trace_synapse, aged)
    return summed.reshape(state.hidden_output.shape)


def with_elastic(steps: Iterable[S], parameters: Parameters) -> list[S]:
    """The steps of a protocol, with elastic consolidation in all phases that train a task, if `elastic.strength` is above 0 in one.

    Where it is 0 importances are gathered and nothing is pulled; in the first training there is nothing to pull to anyway.

    Parameters
    ----------
    steps : iterable
        Phases; what is no phase is left as it is.
    parameters : Parameters
        Those of the trial; a phase can change them.
    """
    steps = list(steps)
    training = {n: step for n, step in enumerate(steps) if isinstance(step, Phase) and any(a.trained_task for a in step.activities)}
    elastic = {n: parameters.with_changes(dict(phase.changes)).elastic for n, phase in training.items()}
    if any(values.strength > 0.0 for values in elastic.values()):
        for n, phase in training.items():
            rule = Elastic(strength=elastic[n].strength, every=elastic[n].interval_epochs)
            steps[n] = replace(phase, rules=(*phase.rules, rule))
    return steps
