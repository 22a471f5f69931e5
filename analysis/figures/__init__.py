"""The figures of the paper and three that it lacks (replay, protocols, gap), a module each, from recorded trials.

A module has `EXPERIMENTS`, the names of the experiments it needs, and `draw(collection)`, which gives the figure.
"""

from importlib import import_module
from types import ModuleType

FIGURES = ("fig1", "fig2", "fig3", "fig4", "fig5", "fig6", "fig7", "s1", "s2", "s3", "s4", "s5", "s6", "replay", "protocols", "gap")


def figure_module(name: str) -> ModuleType:
    """The module of a figure; importing it takes a moment, so only what is drawn is imported.

    Parameters
    ----------
    name : str
        One of `FIGURES`.
    """
    return import_module(f"{__name__}.{name}")
