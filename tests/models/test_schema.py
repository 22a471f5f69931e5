"""What derives from the declaration of a field, and that a new field of the state is declared in one place."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from foraging_snn.models import NetworkState, initial_state, preset
from foraging_snn.models.schema import AXES, Field, array, axis_sizes, number, problem, record, schema_of

ROOT = Path(__file__).parents[2]
SIZES = {"hidden": 3, "output": 8}


@record
class Example:
    """An example."""

    n: int = number(int, meaning="a number", low=0, high="most")
    weight: np.ndarray = array(np.float64, "hidden", meaning="weights", unit="mV", above=0, note="of the example")
    cell: np.ndarray = array(np.int32, "spike", meaning="cells", index_of="hidden")
    step: np.ndarray = array(np.int64, "spike", meaning="steps", ascending=True)


def example(**changes):
    values = {"n": 4, "weight": np.ones(3), "cell": np.array([2, 0], np.int32), "step": np.array([5, 5])}
    return Example(**values | changes)


def test_the_docstring_lists_fields_and_axes():
    assert Example.__doc__ == (
        "An example.\n\nAttributes\n----------\nn : int\n    A number.\n"
        "weight : (hidden,) float64, mV\n    Weights; of the example.\n"
        "cell : (spike,) int32\n    Cells.\nstep : (spike,) int64\n    Steps.\n\n"
        f"Axes\n----\nhidden : {AXES['hidden'].meaning}\nspike : {AXES['spike'].meaning}"
    )


def test_the_text_of_a_record_has_shapes_instead_of_arrays():
    assert repr(example()) == "Example(n: 4, weight: (3,) float64, cell: (2,) int32, step: (2,) int64)"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, ""),
        ({"n": 10}, ""),
        ({"n": 11}, "n is not within 0 ... 10"),
        ({"n": 1.0}, "n is not a value of type int"),
        ({"weight": np.ones(4)}, "weight has shape (4,), not (3,)"),
        ({"weight": np.ones((3, 1))}, "weight has shape (3, 1), not (3,)"),
        ({"weight": [1.0, 1.0, 1.0]}, "weight is not an array of type float64"),
        ({"weight": np.array([1.0, 0.0, 1.0])}, "weight is not above 0 everywhere"),
        ({"weight": np.array([1.0, np.inf, 1.0])}, "weight is not finite everywhere"),
        ({"cell": np.array([0, 3], np.int32)}, "cell is not within 0 ... 2"),
        ({"cell": np.array([0, -1], np.int32)}, "cell is not within 0 ... 2"),
        ({"step": np.array([5, 4])}, "step is not ascending"),
        ({"step": np.array([5])}, "cell is not as long as step"),
        ({"step": np.zeros(0, np.int64), "cell": np.zeros(0, np.int32)}, ""),
    ],
)
def test_a_record_is_checked_against_its_schema(changes, message):
    assert problem(example(**changes), SIZES, {"most": 10}) == message


def test_how_much_room_a_field_takes():
    what = Field(np.bool_, ("snapshot", "hidden", "output"), "1", "something")
    assert what.n_bytes(SIZES, free=5) == 5 * 3 * 8
    assert (what.stored, what.is_free, what.shape(SIZES)) == (np.uint8, True, (0, 3, 8))


def test_a_state_has_the_types_and_shapes_of_its_schema():
    parameters = preset("tiny")
    state = initial_state(parameters, 3)
    assert problem(state, axis_sizes(parameters), {"epoch": 0, "steps": 0, "most epochs": 1}) == ""
    assert {type(getattr(state, name)) for name, what in schema_of(NetworkState).items() if not what.is_array} == {int, bool}


NEW_FIELD = """    fatigue: np.ndarray = array(np.float64, "hidden", unit="mV", meaning="how tired a cell is", low=0)
"""
USE = """
import numpy as np
from pretend_engine import PretendEngine
from foraging_snn.files.document import PAGE, documented
from foraging_snn.files.states import StateError, load_state, save_state
from foraging_snn.models import Activity, Block, EngineError, NetworkState, Phase, initial_state, preset
from foraging_snn.models.brian2_build import state_header
from foraging_snn.models.event_kernel import Arrays
import foraging_snn, h5py

p = preset("tiny")
state = initial_state(p, 3)
assert state.fatigue.tolist() == [0.0] * 784
state.fatigue[5] = 2.5
copy = state.copy()
copy.fatigue[6] = 1.0
assert state.differences(copy) == ["fatigue"]
save_state("new.h5", state, p)
assert load_state("new.h5").state.fatigue[5] == 2.5
with h5py.File("new.h5") as file:
    assert file["state/fatigue"].attrs["unit"] == b"mV"
    assert file["state/fatigue"].dims[0][0].name == "/hidden"
state.fatigue[5] = -1.0
try:
    save_state("bad.h5", state, p)
except StateError as error:
    assert str(error) == "bad.h5: not written: fatigue is not 0 or more everywhere"
else:
    raise AssertionError("written")
state.fatigue = np.zeros(783)
try:
    PretendEngine(p).run(state, Phase("T1", (Block(Activity.train("T1"), 100),), 100))
except EngineError as error:
    assert "fatigue has the shape (783,)" in str(error)
else:
    raise AssertionError("run")
assert "fatigue : (hidden,) float64, mV" in NetworkState.__doc__
assert "| `fatigue` | hidden | float64 | mV | how tired a cell is |" in documented(PAGE.read_text())
assert "fatigue" in Arrays._fields
assert 'a.vector("fatigue", loop.fatigue);' in state_header(p)
print(foraging_snn.__file__)
"""


@pytest.mark.slow
def test_a_new_field_of_the_state_is_declared_in_one_place(tmp_path):
    for name in ("foraging_snn", "models", "environments", "analysis", "docs"):
        shutil.copytree(ROOT / name, tmp_path / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    declarations = tmp_path / "models" / "state.py"
    text = declarations.read_text()
    assert text.count("    grid: np.ndarray = array(") == 1
    declarations.write_text(text.replace("    grid: np.ndarray = array(", f"{NEW_FIELD}    grid: np.ndarray = array("))
    code = f"import sys; sys.path[:0] = [{str(tmp_path)!r}, {str(ROOT / 'tests')!r}]\n{USE}"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(tmp_path / "foraging_snn" / "__init__.py")
