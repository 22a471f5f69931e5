"""Trials of pretended engines: complete files whose numbers are known, made in no time."""

from pretend_engine import PretendEngine

from foraging_snn.models import preset
from foraging_snn.protocols import experiments
from foraging_snn.running.plan import trial_path
from foraging_snn.running.trial import run_trial

SMALL = preset("tiny").with_changes(
    {
        "network.hidden_cells": 20,
        "phases.training_aeons": 8,
        "phases.retraining_aeons": 8,
        "phases.interleaved_aeons": 8,
        "phases.test_aeons": 4,
        "phases.dropout_aeons": 4,
        "recording.windows": 3,
        "recording.spike_window_epochs": 40,
        "recording.position_window_epochs": 40,
    }
)


def write_trials(directory, names, seeds, parameters=SMALL, engine=PretendEngine, start=None):
    """Files of trials with the pretended engine: of ten particles, seed % 10 are rewarded, in every phase."""
    for name in names:
        for k, seed in enumerate(seeds):
            run_trial(
                experiments(parameters)[name],
                parameters,
                seed=seed,
                trial=k,
                engine=engine(parameters),
                path=trial_path(directory, name, seed),
                command_line="a test",
                start=start,
            )
    return directory
