"""What is said beside every result: preset, what is shortened, what is changed."""

from foraging_snn.files.conditions import changed_rules, run_conditions, shortened_lengths
from foraging_snn.models import preset
from foraging_snn.protocols import experiments
from foraging_snn.running.existing import phases_to_run

TINY = preset("tiny")


def test_full_length_is_not_called_shortened():
    full = preset("full")
    phases = phases_to_run(experiments(full)["sequential-sleep"], started=False)
    assert run_conditions(full, phases, None)[0] == "preset full"


def test_whether_trials_share_a_network_is_said():
    own, one = preset("full"), preset("full").with_changes({"network.seed": 3})
    assert run_conditions(own, (), None)[1:] == (
        "every trial has a network of its own (network.seed -1); the paper's trials share one",
    )
    assert run_conditions(one, (), None)[1:] == ("one network for all trials, as in the paper (network.seed 3)",)
    assert run_conditions(own, (), "a state")[1:] == ("no unsupervised phase; all trials start with one network: a state",)


def test_scale_is_a_shortening():
    half = preset("full").with_changes({"phases.scale": 0.5})
    phases = phases_to_run(experiments(half)["sequential-sleep"], started=False)
    assert shortened_lengths(half, phases) == [
        "unsupervised 50000 of 100000",
        "training 25000 of 50000",
        "test 5000 of 10000",
        "retraining 25000 of 50000",
        "interleaved 25000 of 50000",
    ]
    assert changed_rules(half) == []


def test_only_lengths_that_are_run_are_listed():
    tiny = phases_to_run(experiments(TINY)["dropout-2"], started=False)
    assert [line.split()[0] for line in shortened_lengths(TINY, tiny)] == ["unsupervised", "training", "test", "dropout"]


def test_changed_rules_are_all_but_lengths_and_recording():
    changes = {"phases.block_epochs": 50, "phases.test_aeons": 1, "recording.positions": True, "sleep.pulse": 0.03}
    assert changed_rules(preset("full").with_changes(changes)) == [
        "sleep.pulse 0.03 instead of 0.025",
        "phases.block_epochs 50 instead of 100",
    ]
