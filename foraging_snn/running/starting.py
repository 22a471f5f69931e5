"""The states that trials can start from: in files of their own, in the files of trials, and those of the package.

Making them is planned in plan.py.
"""

from pathlib import Path

from foraging_snn.files.hdf5 import format_of
from foraging_snn.files.layout import FORMAT_NAME as TRIAL_FORMAT
from foraging_snn.files.reader import Trial
from foraging_snn.files.states import SavedState, StateError, compatible, load_state, packaged_states
from foraging_snn.models import Parameters, Phase
from foraging_snn.protocols import RatesOfState, experiment


def unsupervised_phase(parameters: Parameters) -> Phase:
    """The phase with which every experiment begins."""
    return experiment("task1", parameters).phases[0]


def read_start(name: str) -> SavedState:
    """A state by the path of its file, by its name in the package, or by where it is in the file of a trial.

    Parameters
    ----------
    name : str
        Of the last kind are "FILE@T1", the end of a phase, "FILE@T1#2", the end of the second of this name, and "FILE@1200", the
        epoch 1200; see :meth:`foraging_snn.files.reader.Trial.state_at`.

    Raises
    ------
    StateError
    RecordingError
        Of a file of a trial.
    """
    packaged = packaged_states()
    if Path(name).exists():
        if format_of(Path(name)) == TRIAL_FORMAT:
            states = Trial(name).states
            raise StateError(f"{name}: a trial; allowed is {name}@ and one of its states: {', '.join(states) or 'there are none'}")
        return load_state(name)
    path, at, where = name.rpartition("@")
    if at and Path(path).exists():
        return Trial(path).state_at(int(where) if where.isdecimal() and len(where) < 19 else where)
    if name.removesuffix(".h5") in packaged:
        return packaged[name.removesuffix(".h5")]()
    raise StateError(f"{name}: no such file, and the states in the package are: {', '.join(packaged) or 'none'}")


def load_start(name: str, parameters: Parameters) -> SavedState:
    """A state that trials with `parameters` can start from; see :func:`read_start`.

    Raises
    ------
    StateError
        No such state, one in the midst of a phase, or made with other parameters.
    """
    start = read_start(name)
    check_start(start, parameters, name)
    return start


def rates_of(name: str) -> RatesOfState:
    """The rates of a state, named as for :func:`read_start`, as a step of a protocol; its errors are those of that function."""
    saved = read_start(name)
    return RatesOfState(name, saved.sha256, saved.state)


def check_start(start: SavedState, parameters: Parameters, name: str) -> None:
    """See that a trial with `parameters` can begin from a state.

    Raises
    ------
    StateError
    """
    if start.state.phase_epoch:
        raise StateError(f"{name}: a state in the midst of a phase, allowed is one between two phases")
    different = compatible(start.parameters, parameters)
    if different:
        raise StateError(f"{name}: made with other parameters (its value, the value asked for): {'; '.join(different)}")
