"""The cache of machine code: it knows its sources, needs no home, survives damage, and does not grow without end."""

import inspect
import os
import pickle
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numba
import numpy as np
import pytest
from numba import NumbaError

from foraging_snn.environments import draws, jit

PACKAGE = Path(__file__).resolve().parents[2]
PLACE = """
import numpy as np
from foraging_snn.environments import jit
from foraging_snn.environments.world import empty_world, place_particle
world = empty_world(9)
place_particle(world, 1, np.uint64(5), 0)
print(np.argwhere(world.grid).tolist(), jit.jit_directory())
"""


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """A copy of the package whose sources can be changed (and changed back)."""
    target = tmp_path_factory.mktemp("sources")
    for name in ("environments", "models", "analysis"):
        shutil.copytree(PACKAGE / name, target / name, ignore=shutil.ignore_patterns("__pycache__"))
    ignored = shutil.ignore_patterns("__pycache__", "models", "environments", "analysis", "data")
    shutil.copytree(PACKAGE / "foraging_snn", target / "foraging_snn", ignore=ignored)
    for name in ("environments", "models", "analysis"):
        (target / "foraging_snn" / name).symlink_to(f"../{name}")
    return target


def placed(sources, **environment):
    """Where a particle is placed, and the folder of the cache, in a process of its own."""
    environment = {name: value for name, value in (os.environ | environment).items() if value is not None}
    result = subprocess.run([sys.executable, "-c", PLACE], cwd=sources, env=environment, capture_output=True, text=True)
    assert result.stderr == ""
    squares, _, folder = result.stdout.rpartition("] ")
    return f"{squares}]", folder.strip()


@pytest.fixture(scope="module")
def warm(sources, tmp_path_factory):
    """A cache in use, and what is computed with it."""
    folder = tmp_path_factory.mktemp("numba")
    return folder, placed(sources, NUMBA_CACHE_DIR=str(folder))[0]


@pytest.mark.slow
def test_a_changed_function_changes_its_callers_in_other_files(sources, warm):
    where = {"NUMBA_CACHE_DIR": str(warm[0])}
    before, folder = placed(sources, **where)
    assert before == warm[1]
    assert list(Path(folder).rglob("world.place_particle*.nbc"))
    draws = sources / "environments" / "draws.py"
    text = draws.read_text()
    assert "return int(uniform(key, index) * n)" in text
    draws.write_text(text.replace("return int(uniform(key, index) * n)", "return 3"))
    try:
        after, other_folder = placed(sources, **where)
    finally:
        draws.write_text(text)
    assert after == "[[3, 3], [3, 4]]" != before
    assert other_folder != folder


def test_without_a_home_that_can_be_written_to_the_cache_is_temporary(sources, warm, tmp_path):
    nowhere = {"HOME": "/proc/nowhere", "XDG_CACHE_HOME": None, "FORAGING_SNN_CACHE": None, "NUMBA_CACHE_DIR": None}
    squares, folder = placed(sources, TMPDIR=str(tmp_path), **nowhere)
    assert squares == warm[1]
    assert Path(folder).parents[1] == tmp_path / f"foraging_snn-{os.getuid()}"
    assert Path(folder).parents[1].stat().st_mode & 0o077 == 0


def test_a_temporary_folder_of_somebody_else_is_not_used(sources, tmp_path):
    nowhere = {"HOME": "/proc/nowhere", "XDG_CACHE_HOME": None, "FORAGING_SNN_CACHE": None, "NUMBA_CACHE_DIR": None}
    (tmp_path / f"foraging_snn-{os.getuid()}").symlink_to(tmp_path / "elsewhere")
    _, folder = placed(sources, TMPDIR=str(tmp_path), **nowhere)
    assert not (tmp_path / "elsewhere").exists()
    assert Path(folder).parents[1].name not in ("elsewhere", f"foraging_snn-{os.getuid()}")


@pytest.mark.slow
@pytest.mark.parametrize("ending, damage", [("nbi", "empty"), ("nbi", "truncated"), ("nbc", "empty"), ("nbc", "truncated")])
def test_damaged_files_of_the_cache_are_compiled_anew(sources, warm, tmp_path, ending, damage):
    shutil.copytree(warm[0], tmp_path / "numba")
    files = list((tmp_path / "numba").rglob(f"*.{ending}"))
    assert files
    for path in files:
        data = path.read_bytes()
        path.write_bytes(b"" if damage == "empty" else data[: len(data) // 2])
    assert placed(sources, NUMBA_CACHE_DIR=str(tmp_path / "numba"))[0] == warm[1]


def test_a_cache_that_cannot_be_written_to_costs_the_cache_only(sources, tmp_path):
    (tmp_path / "numba").write_text("a file, not a folder")
    somewhere = {"NUMBA_CACHE_DIR": str(tmp_path / "numba"), "FORAGING_SNN_CACHE": str(tmp_path / "cache")}
    _, folder = placed(sources, **somewhere)
    assert Path(folder).parent == tmp_path / "cache" / "numba"


def test_old_caches_are_removed_but_for_the_last_used_ones(tmp_path):
    now = time.time()
    for k in range(8):
        folder = tmp_path / f"{jit.PREFIX}{k}"
        folder.mkdir()
        (folder / "code.nbc").write_bytes(b"x" * 1000)
        age = k * 0.6 * jit.RECENT_SECONDS
        os.utime(folder, (now - age, now - age))
    (tmp_path / "somebody-elses").mkdir()
    jit._remove_old(tmp_path, tmp_path / f"{jit.PREFIX}0")
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == [*(f"{jit.PREFIX}{k}" for k in range(5)), "somebody-elses"]


def test_old_caches_are_bounded_in_size(tmp_path, monkeypatch):
    monkeypatch.setattr(jit, "KEPT_BYTES", 1500)
    for k in range(3):
        folder = tmp_path / f"{jit.PREFIX}{k}"
        folder.mkdir()
        (folder / "code.nbc").write_bytes(b"x" * 1000)
        os.utime(folder, (time.time() - (k + 2) * jit.RECENT_SECONDS,) * 2)
    jit._remove_old(tmp_path, tmp_path / "new")
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{jit.PREFIX}0"]


def test_a_function_is_cached_once_it_was_compiled(tmp_path, monkeypatch):
    monkeypatch.setattr(jit, "jit_directory", lambda: tmp_path)

    @jit.cached_njit
    def total(values):
        found = 0.0
        for value in values:
            found += value
        return found

    assert not jit.is_cached(total)
    assert total(np.array([1.0, 2.0])) == 3.0
    assert jit.is_cached(total)


def test_a_function_that_borrows_its_arrays_is_not_compiled_if_it_needs_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(jit, "jit_directory", lambda: tmp_path)

    @jit.borrowing_njit
    def first_of_copy(values):
        return values.copy()[0]

    with pytest.raises(NumbaError, match="NRT required"):
        first_of_copy(np.ones(3))


def test_an_inner_function_can_be_called_from_python_after_jitted_code_has_called_it():
    """For jitted code it is compiled without what takes arguments from Python; there would be nothing to call."""

    @jit.borrowing_njit
    def inner(values, k):
        return 2.0 * values[k]

    @jit.borrowing_njit
    def outer(values, k):
        return inner(values, k)

    values = np.array([1.0, 2.0])
    assert outer(values, 1) == inner(values, 1) == outer(values, np.int64(1)) == inner(values, np.int64(1)) == 4.0


def test_a_jitted_function_keeps_its_name_text_and_signature_and_can_be_pickled():
    assert draws.uniform.__name__ == "uniform"
    assert draws.uniform.__doc__.startswith("Draw number `index`")
    assert list(inspect.signature(draws.uniform).parameters) == ["key", "index"]
    assert pickle.loads(pickle.dumps(draws.uniform)) is draws.uniform
    assert not hasattr(draws.uniform, "__array__")


def test_callers_in_python_are_given_what_a_function_promises_and_callers_in_jitted_code_the_bare_number(tmp_path, monkeypatch):
    monkeypatch.setattr(jit, "jit_directory", lambda: tmp_path)

    @jit.cached_njit
    def drawn(seed):
        return draws.uniform(draws.stream_key(seed, 3, 9), 1)

    keys = [draws.stream_key(seed, 3, 9) for seed in range(20)]
    assert {type(key) for key in keys} == {np.uint64}
    assert max(keys) >= 2**63  # as a signed number it would be another
    assert [drawn(seed) for seed in range(20)] == [draws.uniform(key, 1) for key in keys]


def test_two_threads_that_call_a_function_first_get_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr(jit, "jit_directory", lambda: tmp_path)
    before = numba.config.CACHE_DIR

    def sevenfold(value):
        return 7 * value

    jitted = [jit.cached_njit(sevenfold) for _ in range(8)]
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(lambda function: function(6), jitted)) == [42] * 8
    assert numba.config.CACHE_DIR == before
    assert all(jit.is_cached(function) for function in jitted)


TABLE = (7, 0.1, np.arange(5), np.linspace(0.0, 1.0, 6).reshape(2, 3).T)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(jit, "jit_directory", lambda: tmp_path)
    return tmp_path


def test_a_table_is_computed_once_and_comes_back_bit_for_bit_and_of_one_type(folder):
    first = jit.kept_table("a", lambda: TABLE)
    again = jit.kept_table("a", lambda: pytest.fail("computed a second time"))
    for expected, *found in zip(TABLE, first, again, strict=True):
        for value in found:
            assert type(value) is type(expected) and np.array_equal(value, expected)
    assert [(value.dtype, value.flags.c_contiguous, value.flags.writeable) for value in first[2:]] == [
        (value.dtype, value.flags.c_contiguous, value.flags.writeable) for value in again[2:]
    ]
    assert jit.kept_table("b", lambda: (1,)) == [1]


@pytest.mark.parametrize("kept", [0.0, 0.5, 0.99])
def test_a_damaged_table_is_computed_anew(folder, kept):
    jit.kept_table("a", lambda: TABLE)
    (path,) = folder.iterdir()
    data = path.read_bytes()
    path.write_bytes(data[: int(kept * len(data))])
    assert jit.kept_table("a", lambda: (3,)) == [3]
    assert jit.kept_table("a", lambda: pytest.fail("computed a third time")) == [3]


def test_of_many_tables_the_last_ones_stay(folder):
    for k in range(jit.TABLES_KEPT + 3):
        jit.kept_table(k, lambda k=k: (k,))
    assert len(list(folder.iterdir())) == jit.TABLES_KEPT


def test_a_table_that_cannot_be_kept_is_computed_each_time(folder, monkeypatch):
    def no_space(*arguments):
        raise OSError("No space left on device")

    monkeypatch.setattr(np, "savez", no_space)
    assert [jit.kept_table("a", lambda: (1,)) for _ in range(2)] == [[1], [1]]
    assert list(folder.iterdir()) == []
