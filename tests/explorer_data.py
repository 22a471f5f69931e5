"""A folder to be explored: two short trials of one network, made by the event engine, and a landscape of theirs."""

from foraging_snn.commands.cli import main

SHORT = ["--preset", "tiny", "--set", "network.hidden_cells=100", "--snapshots", "4", "--set", "network.seed=1"]


def make_folder(folder):
    """T1 -> T2 and T1 -> I(S,T2), seed 1, nine snapshots each, and a plane of 3 x 3 points."""
    shorter = ["--set", "phases.unsupervised_aeons=3", "--out", str(folder)]
    assert main(["reproduce", "--experiments", "sequential,sleep", *SHORT, "--trials", "1", "--seed", "1", *shorter]) == 0
    files = [str(folder / f"{name}_seed0001.h5") for name in ("sequential", "sleep")]
    quick = ["--grid", "3", "--epochs", "100", "--jobs", "1", "--format", "png"]
    assert main(["landscape", *files, *quick, "--out", str(folder / "landscape.h5")]) == 0
    return folder
