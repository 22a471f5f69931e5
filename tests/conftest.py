"""What all tests share."""

import pytest


@pytest.fixture(autouse=True, scope="session")
def _width_of_a_pipe():
    """pytest-xdist puts COLUMNS into the environment of its workers; tables would fold to it, those of module fixtures too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("COLUMNS", raising=False)
        yield


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The files of four pretended trials, seeds 1 to 4, run one after the other in this process."""
    from pretend_tasks import pretended_plan, run_pretended  # only for the tests that ask for it

    from foraging_snn.running.scheduling import LocalWorkers, TrialEnd

    plan = pretended_plan(tmp_path_factory.mktemp("undisturbed"), range(1, 5))
    with LocalWorkers() as workers:
        assert run_pretended(plan, workers) == [TrialEnd(seed) for seed in plan.seeds]
    return plan
