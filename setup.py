"""What setup.cfg cannot say: the version is the one that the running package would tell; the sources keep their links."""

import sys
from pathlib import Path

from setuptools import setup
from setuptools.command.sdist import sdist

sys.path.insert(0, str(Path(__file__).parent))
from foraging_snn.version import record_version


class SourcesWithLinks(sdist):
    """The sdist of setuptools leaves symbolic links out; these make unpacked sources work without installation."""

    def make_release_tree(self, base_dir: str, files: list[str]) -> None:
        """Copy the files, then set the links."""
        super().make_release_tree(base_dir, files)
        for folder in ("models", "environments", "analysis"):
            Path(base_dir, "foraging_snn", folder).symlink_to(Path("..", folder))


setup(version=record_version(Path(__file__).parent / "foraging_snn").number, cmdclass={"sdist": SourcesWithLinks})
