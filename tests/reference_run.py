"""A short run of every kind of phase, and the digest of the states it leads to: the same for one seed on every processor."""

import hashlib

import numpy as np

from foraging_snn.models import engine_class, initial_state, preset
from foraging_snn.protocols import experiments

EPOCHS = {"event": 600, "brian2": 60}
FIELDS = ("V", "u", "x", "input_hidden", "hidden_output", "inhibition", "resistance", "hidden_rate", "trace_average")
FIELDS += ("task_spikes", "grid")
PAPER_TASKS = 2  # whose spike counts there were when the references were made


def digest(engine_name):
    """SHA-256 over the states after some epochs of the unsupervised phase, T1, its test, and I(S,T2)."""
    parameters = preset("quick")
    phases = {phase.name: phase for phase in experiments(parameters)["sleep"].phases}
    state, found = initial_state(parameters, seed=1), hashlib.sha256()
    with engine_class(engine_name)(parameters) as engine:
        for name in ("unsupervised", "T1", "test T1", "I(S,T2)"):
            state, _ = engine.run(state, phases[name], epochs=EPOCHS[engine_name])
            state.phase_epoch = 0
            for field in FIELDS:
                values = np.ascontiguousarray(getattr(state, field))
                values = values[:PAPER_TASKS] if field == "task_spikes" else values
                found.update(values.astype(values.dtype.newbyteorder("<")).tobytes())
    return found.hexdigest()
