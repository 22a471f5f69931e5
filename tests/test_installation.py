"""The package as it is found: public names, quick to import, its world in Gymnasium. Ways to install it: .ci/installations."""

import ast
import inspect
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import foraging_snn


def output(code, folder=None):
    """What a new Python process prints, which has the same package wherever it stands."""
    here = os.environ | {"PYTHONPATH": str(Path(foraging_snn.__file__).parents[1])}
    return subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True, env=here).stdout


def example():
    """The code in the docstring of the package."""
    lines = inspect.getdoc(foraging_snn).splitlines()
    first = lines.index("    from foraging_snn import Trial, engine_class, experiment, preset, run_trial")
    last = next(k for k in range(first, len(lines)) if lines[k] and not lines[k].startswith("    "))
    return textwrap.dedent("\n".join(lines[first:last]))


def test_importing_the_package_loads_no_library_and_takes_less_than_50_ms():
    code = """if True:
        import sys, time
        began = time.process_time()  # of a busy machine, too
        import foraging_snn
        print(time.process_time() - began, *({"numpy", "numba", "gymnasium", "brian2", "h5py", "pydantic"} & set(sys.modules)))
    """
    seconds, *loaded = min(output(code).split() for _ in range(5))
    assert not loaded
    assert float(seconds) < 0.05


def test_a_command_that_computes_nothing_does_not_wait_for_numba():
    code = """if True:
        import contextlib, io, sys
        from foraging_snn.commands import cli
        sys.argv = ["foraging-snn", "list"]
        with contextlib.redirect_stdout(io.StringIO()) as shown, contextlib.suppress(SystemExit):
            cli.main()
        print("numba" in sys.modules, "sequential-sleep" in shown.getvalue())
    """
    assert output(code).split() == ["False", "True"]


@pytest.mark.parametrize("name", foraging_snn.__all__)
def test_every_public_name_is_there_and_said_to_be(name):
    assert getattr(foraging_snn, name) is not None
    assert name in dir(foraging_snn)
    assert name in foraging_snn.__doc__ or name == "__version__"


def test_another_name_is_refused_as_by_any_module():
    with pytest.raises(AttributeError, match="module 'foraging_snn' has no attribute 'Trail'"):
        _ = foraging_snn.Trail
    with pytest.raises(ImportError):
        from foraging_snn import Trail  # noqa: F401


def test_type_checkers_see_the_same_names():
    tree = ast.parse(inspect.getsource(foraging_snn))
    block = next(node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
    seen = {
        alias.name: node.module.removeprefix("foraging_snn.")
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert seen == foraging_snn._PLACE
    assert {*seen, "__version__"} == set(foraging_snn.__all__)


def test_the_example_in_the_docstring_runs(tmp_path):
    printed = output(example(), tmp_path)
    assert (tmp_path / "task1.h5").exists()
    assert printed.count("TestResult(") == 2
    assert "task=1" in printed
    assert "task=2" in printed


MADE = "print(gymnasium.make({!r}).reset(seed=1)[0].shape)"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("imports", "environment"),
    [
        ("import foraging_snn, gymnasium", "foraging_snn/Foraging-v0"),
        ("import gymnasium, foraging_snn", "foraging_snn/Foraging-v0"),
        ("import foraging_snn.environments, gymnasium", "foraging_snn/Foraging-v0"),
        ("import gymnasium", "foraging_snn:foraging_snn/Foraging-v0"),
    ],
)
def test_gymnasium_makes_the_world(imports, environment):
    assert output(f"{imports}\n{MADE.format(environment)}").split("\n")[-2:] == ["(7, 7)", ""]


def test_a_python_without_gymnasium_says_so_as_ever():
    code = """if True:
        import sys, foraging_snn
        sys.path[:] = [folder for folder in sys.path if "-packages" not in folder]
        sys.meta_path[:] = [finder for finder in sys.meta_path if "editable" not in repr(finder)]
        sys.path_importer_cache.clear()
        try:
            import gymnasium
        except ModuleNotFoundError as error:
            print(error)
    """
    assert output(code) == "No module named 'gymnasium'\n"
