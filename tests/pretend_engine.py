"""An engine that computes nothing: for tests of what surrounds engines."""

import numpy as np

from foraging_snn.environments import Outcome
from foraging_snn.models import Engine, EpochRecords
from foraging_snn.models.engine import AWAKE_LATER


class PretendEngine(Engine):
    """Every epoch eats a particle; of ten, seed % 10 are rewarded. Strengths and spike counts grow by
    fixed amounts in every epoch.

    Parameters
    ----------
    parameters : Parameters
    failure : tuple of str and exception, optional
        Raise the exception in the second piece of the phase of that name.

    Attributes
    ----------
    runs : list of (str, int, int)
        Phase, seed and epoch of each run, in their order.
    """

    name = "pretend"
    chunk_epochs = 50

    def __init__(self, parameters, failure=None):
        super().__init__(parameters)
        self.runs = []
        self._failure = failure

    def _load(self, state, phase):
        self._now, self._phase = state.copy(), phase
        self.runs.append((phase.name, state.seed, state.epoch))

    def _advance(self, epochs, spikes):
        state, phase = self._now, self._phase
        if self._failure and self._failure[0] == phase.name and state.phase_epoch > 0:
            raise self._failure[1]
        first = state.epoch
        for k in range(epochs):
            task = phase.block_at(state.phase_epoch + k)[0].trained_task
            if task:
                slot = self.parameters.task_number(task) - 1
                state.task_epochs[slot] += 1
                state.task_spikes[slot] += first + k
        state.epoch += epochs
        state.phase_epoch += epochs
        state.hidden_output[0, 0] += epochs / 1024  # exact, so that pieces add up to the same bits
        number = first + np.arange(epochs)
        outcome = np.where(number % 10 < state.seed % 10, Outcome.REWARDED, Outcome.PUNISHED).astype(np.int8)
        zeros = np.zeros(epochs, np.int16)
        counts = np.zeros(epochs, np.int32)
        return EpochRecords(
            first, AWAKE_LATER, zeros.astype(np.int8), np.ones(epochs, np.int8), outcome, zeros, zeros, counts, counts
        )

    def _state(self):
        return self._now.copy()
