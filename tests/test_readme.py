"""What the README shows is run as it stands there, one after the other in one folder, with shorter phases."""

import importlib.util
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import foraging_snn

README = Path(__file__).parents[1] / "README.md"
ROOT = Path(foraging_snn.__file__).parents[1]

NOT_HERE = {"python3 -m venv": "installs the package: .ci/run runs it in an empty folder"}
SHORTER = {
    "foraging-snn reproduce --trials 10 --jobs 2 --out paper": "cp -r first-look paper",  # the same but for the length, an hour
    "--preset quick": "--preset tiny",
    "foraging-snn landscape ": "foraging-snn landscape --grid 3 --epochs 200 ",
    "foraging-snn paths ": "foraging-snn paths --points 3 --epochs 200 ",
    "foraging-snn basins ": "foraging-snn basins --then S[2] --radii 3 --directions 1 --checks 1 --epochs 200 ",
    "foraging-snn ann run ": "foraging-snn ann run --set images_per_task=200 --set epochs=1 --set sleep_steps=50 ",
    "foraging-snn explore paper": "foraging-snn explore paper --export page.html",  # it would be served until Ctrl-C
}
ARTIFICIAL = "foraging-snn ann "
LONG = ("foraging-snn run ", "foraging-snn reproduce ")  # with the preset `enough` if none is named


def blocks():
    """Language and lines of every block of code."""
    return [(found[1], found[2]) for found in re.finditer(r"^```(\w*)\n(.*?)^```$", README.read_text(), re.DOTALL | re.MULTILINE)]


def commands():
    """Every command with what is said of it."""
    lines = "".join(text for language, text in blocks() if not language).replace("\\\n", "")
    return [tuple(map(str.strip, f"{line}#".split("#")[:2])) for line in lines.splitlines() if line]


def shortened(command):
    for text, shorter in SHORTER.items():
        command = command.replace(text, shorter)
    enough = command.startswith(LONG) and "--preset" not in command and "--parameters" not in command
    return f"{command} --preset tiny" if enough else command


@pytest.fixture
def run(tmp_path):
    """Run a command line in the folder of this test; the folder."""
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    path = tmp_path / "bin"
    path.mkdir()
    for name, words in (("foraging-snn", [sys.executable, "-m", "foraging_snn"]), ("python", [sys.executable])):
        (path / name).write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n')
        (path / name).chmod(0o755)
    here = os.environ | {"PYTHONPATH": str(ROOT), "PATH": f"{path}{os.pathsep}{os.environ['PATH']}"}

    def run(command):
        ended = subprocess.run(["bash", "-euo", "pipefail", "-c", command], cwd=tmp_path, env=here, capture_output=True, text=True)
        assert ended.returncode == 0, f"{command}\n{ended.stdout}{ended.stderr}"
        return tmp_path

    return run


def test_every_block_of_code_is_known():
    assert {language for language, _ in blocks()} == {"", "python"}
    assert all(command.startswith(("foraging-snn ", "python ", *NOT_HERE)) for command, _ in commands())
    assert len(commands()) > 10


def run_all(run, those):
    """One after the other, in one test: each reads what those before it wrote, and pytest-xdist shares out the tests of a file."""
    for command, said in those:
        folder = run(shortened(command))
        for path in re.findall(r"\b[\w-]+/[\w.-]+\w", said):
            assert (folder / path).exists(), command


@pytest.mark.slow
def test_commands_and_code_run_as_they_stand(run):
    run_all(run, [each for each in commands() if not each[0].startswith((ARTIFICIAL, *NOT_HERE))])
    for language, code in blocks():
        if language == "python":
            run(f"python -c {shlex.quote(code)}")


@pytest.mark.slow
@pytest.mark.skipif(not importlib.util.find_spec("torch"), reason="needs PyTorch")
def test_commands_of_networks_without_spikes_run_as_they_stand(run):
    run_all(run, [each for each in commands() if each[0].startswith(ARTIFICIAL)])
