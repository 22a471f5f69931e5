"""Where a file comes from: what is told. Version and commit are in tests/test_version.py."""

import platform
import subprocess
import sys
from importlib.metadata import version

from foraging_snn.files import provenance as module
from foraging_snn.files.provenance import provenance
from foraging_snn.version import this_version


def test_versions_machine_engine_and_command_line_are_told():
    told = provenance("brian2", "foraging-snn run sleep --out here")
    assert (told["engine"], told["command_line"]) == ("brian2", "foraging-snn run sleep --out here")
    assert told["python"] == platform.python_version()
    assert {name: told[name] for name in ("numpy", "brian2", "h5py", "numba")} == {
        name: version(name) for name in ("numpy", "brian2", "h5py", "numba")
    }
    assert (told["package"], told["git_commit"]) == this_version()
    assert platform.system() in told["system"]
    assert all(isinstance(text, str) for text in told.values())
    assert all(told[name] for name in ("compiler", "processor"))


def test_a_package_that_is_not_installed_is_said_to_be_missing(monkeypatch):
    monkeypatch.setattr(module, "PACKAGES", ("no-such-package-anywhere",))
    assert provenance("", "")["no-such-package-anywhere"] == "not installed"


def test_brian2_is_not_imported():
    code = "import sys; from foraging_snn.files.provenance import provenance; provenance('', ''); print('brian2' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "False"
