"""The states that trials can start from, i.e. after the unsupervised phase: in files, and those of the package.

Making them is planned in plan.py.
"""

from pathlib import Path

from foraging_snn.files.states import SavedState, StateError, compatible, load_state, packaged_states
from foraging_snn.models import Parameters, Phase
from foraging_snn.protocols import experiment


def unsupervised_phase(parameters: Parameters) -> Phase:
    """The phase with which every experiment begins."""
    return experiment("task1", parameters).phases[0]


def read_start(name: str) -> SavedState:
    """A saved state by the path of its file or by its name in the package.

    Raises
    ------
    StateError
    """
    packaged = packaged_states()
    if Path(name).exists():
        return load_state(name)
    if name.removesuffix(".h5") in packaged:
        return packaged[name.removesuffix(".h5")]()
    raise StateError(f"{name}: no such file, and the states in the package are: {', '.join(packaged) or 'none'}")


def load_start(name: str, parameters: Parameters) -> SavedState:
    """A state that trials with `parameters` can start from; see :func:`read_start`.

    Raises
    ------
    StateError
        No such state, not a state after the unsupervised phase, or made with other parameters.
    """
    start = read_start(name)
    check_start(start, parameters, name)
    return start


def check_start(start: SavedState, parameters: Parameters, name: str) -> None:
    """See that a trial with `parameters` can begin from a state.

    Raises
    ------
    StateError
    """
    if start.state.phase_epoch or start.state.input_hidden_frozen:
        raise StateError(f"{name}: not a state after the unsupervised phase, which is where a trial can start from")
    different = compatible(start.parameters, parameters)
    if different:
        raise StateError(f"{name}: made with other parameters (its value, the value asked for): {'; '.join(different)}")
