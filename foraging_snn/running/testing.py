"""Testing a network as it is: on a copy of its state, so that nothing of the test is left in it."""

from dataclasses import replace

from foraging_snn.environments import Task
from foraging_snn.models import Activity, Block, Engine, NetworkState, ParameterError, Parameters, Phase, PhaseRecord
from foraging_snn.models.engine import Progress
from foraging_snn.models.state import fitted
from foraging_snn.running.errors import RunError


def phase_of_test(task: str | Task, epochs: int, parameters: Parameters) -> Phase:
    """What a network is tested with.

    Raises
    ------
    RunError
        Unknown task.
    """
    try:
        task = parameters.task(task)
    except ParameterError as error:
        raise RunError(str(error)) from None
    return Phase(f"test {task.name}", (Block(Activity.test(task), epochs),), epochs)


def tested_tasks(state: NetworkState, phase: Phase, parameters: Parameters) -> list[Task]:
    """The tasks on which the network was trained before, or is trained in this phase, by their numbers."""
    trained = {activity.trained_task for activity in phase.activities}
    counted = fitted(state, parameters).task_epochs.tolist()
    return [task for task, epochs in zip(parameters.tasks.values(), counted, strict=True) if epochs or task in trained]


def tested(engine: Engine, state: NetworkState, task: str | Task, epochs: int, progress: Progress | None = None) -> PhaseRecord:
    """Test the network in the middle of a phase or between two, as if the phase ended here and a test began.

    Parameters
    ----------
    engine : Engine
    state : NetworkState
        Left as it is; its seed and epoch determine the draws.
    task : str or Task
    epochs : int
    progress : optional
        Called with pieces of the test, see :meth:`foraging_snn.models.Engine.run`.

    Returns
    -------
    PhaseRecord
    """
    phase = phase_of_test(task, epochs, engine.parameters)
    _, record = engine.run(replace(state, phase_epoch=0), phase, progress=progress)
    return record
