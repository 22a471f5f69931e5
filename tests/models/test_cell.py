"""The membrane map in its three forms - NumPy functions, C++ functions, Brian2 network - against a reference table.

The table (data/single_neuron.csv): a cell at rest gets x = pulse before the advance of step 0; a spike step there is an n with
V[n] == -1, which is one more than in docs/conventions.md; V and u "at step 599" are V[599] and u[599].
"""

import csv
from pathlib import Path
from typing import NamedTuple

import numpy as np
import oracle
import pytest

from foraging_snn.models import Activity, Block, Phase, Recorder, engine_class, initial_state, preset
from foraging_snn.models.brian2_network import cell_functions

TABLE = Path(__file__).resolve().parents[1] / "data" / "single_neuron.csv"
THRESHOLD_PULSE = 0.0185598
STEPS = 600


class Row(NamedTuple):
    pulse: float
    spike_steps: list[int]
    V: str
    u: str


@pytest.fixture(scope="module")
def table() -> list[Row]:
    with TABLE.open() as file:
        lines = list(csv.DictReader(file))
    return [
        Row(float(line["input_pulse"]), [int(n) for n in line["spike_steps"].split()], line["V_at_step_599"], line["u_at_step_599"])
        for line in lines
    ]


def numpy_map(parameters):
    """(V, V_2, u, x) -> new V, u, x, with the functions that Brian2's NumPy code calls."""
    functions = {name: function.pyfunc for name, function in cell_functions(parameters, None).items()}
    return lambda V, V_2, u, x: (functions["next_V"](V, V_2, u, x), functions["next_u"](V, u, x), functions["next_x"](x))


def cpp_map(twins):
    def advance(V, V_2, u, x):
        new = np.empty((3, len(V)))
        twins.advance(len(V), *map(np.ascontiguousarray, (V, V_2, u, x)), *new)
        return tuple(new)

    return advance


def oracle_map(rules):
    return lambda V, V_2, u, x: oracle.membrane_map(V, V_2, u, x, rules)[:3]


def cells_after_pulses(advance, parameters, pulses):
    """V and u, (STEPS + 1, cells), of cells at rest whose x is set to `pulses` before step 0."""
    V, u = np.empty((2, STEPS + 1, len(pulses)))
    V[0], u[0], x = parameters.cell.resting_V, parameters.cell.resting_u, np.array(pulses, float)
    for n in range(STEPS):
        V[n + 1], u[n + 1], x = advance(V[n], V[max(n - 2, 0)], u[n], x)
    return V, u


def threshold_pulse(advance, parameters):
    """Smallest pulse that makes a cell at rest fire, to 1e-10, by bisection."""
    low, high = 0.018, 0.019
    while high - low > 1e-10:
        pulses = np.linspace(low, high, 34)  # a bisection of many cells at once
        fires = (cells_after_pulses(advance, parameters, pulses)[0] == -1).any(axis=0)
        first = int(np.argmax(fires))
        assert fires[first:].all()
        assert not fires[:first].any()
        low, high = pulses[first - 1], pulses[first]
    return high


@pytest.fixture(params=["numpy", "cpp"])
def default_map(request):
    """The map with the default parameters, in NumPy and in C++."""
    return cpp_map(request.getfixturevalue("default_twins")) if request.param == "cpp" else numpy_map(preset("full"))


def test_map_gives_the_reference_table(default_map, table):
    V, u = cells_after_pulses(default_map, preset("full"), [row.pulse for row in table])
    assert len(table) == 20
    for k, row in enumerate(table):
        assert np.flatnonzero(V[:, k] == -1).tolist() == row.spike_steps, row.pulse
        assert f"{V[599, k]:.12f}" == row.V
        assert f"{u[599, k]:.12f}" == row.u


def test_threshold_pulse(default_map):
    assert round(threshold_pulse(default_map, preset("full")), 7) == THRESHOLD_PULSE


def test_flash_fires_a_cell_exactly_once_at_step_65(default_map):
    V, _ = cells_after_pulses(default_map, preset("full"), [preset("full").synapse.flash])
    assert np.flatnonzero(V[:, 0] == -1).tolist() == [65]


class SpikesOf(Recorder):
    def __init__(self):
        self.pieces = []

    def spike_windows(self, phase):
        return [range(phase.epochs)]

    def epochs(self, records):
        self.pieces.append(np.column_stack((records.spike_step, records.spike_cell)))


@pytest.mark.parametrize("engine", ["brian2", "brian2-runtime"])
def test_cells_of_the_network_give_the_reference_table(engine, table):
    # Input cells take no synapses, and nothing flashes in sleep: each is alone with its pulse.
    p = preset("full")
    state = initial_state(p, seed=1)
    state.x[: len(table)] = [row.pulse for row in table]
    recorder = SpikesOf()
    with engine_class(engine)(p) as ready:
        after, _ = ready.run(state, Phase("S", (Block(Activity.SLEEP, 1),), 1), recorder=recorder)
    spikes = np.concatenate(recorder.pieces)
    for k, row in enumerate(table):
        assert (spikes[spikes[:, 1] == k, 0] + 1).tolist() == row.spike_steps, row.pulse
        assert f"{after.V_1[k]:.12f}" == row.V


def random_states(seed, n=20_000):
    """States near rest, on the way up, above zero and at the edges of the map's three branches."""
    random = np.random.default_rng(seed)
    V = random.choice([-1.0, 0.0, -0.0, 0.5, 1.0, 3.65], n)
    V[: n // 2] = random.uniform(-1.5, 1.5, n // 2)
    V_2 = random.choice([-1.0, 0.0, -0.0, 5e-324, 0.7], n)
    u = random.normal(-2.82, 0.3, n)
    x = random.normal(0.0, 0.05, n)
    peak = slice(n // 2, n // 2 + n // 10)
    V[peak] = 3.65 + (u[peak] + 0.133 * x[peak])  # exactly at alpha + w, for the default parameters
    return V, V_2, u, x


def test_numpy_and_cpp_map_are_equal_bit_for_bit(twins):
    states = random_states(1)
    for ours, theirs in zip(numpy_map(twins.parameters)(*states), cpp_map(twins)(*states), strict=True):
        assert ours.tobytes() == theirs.tobytes()


def test_map_takes_all_three_branches_as_the_oracle_does(parameters, oracle_rules):
    states = random_states(2)
    new = numpy_map(parameters)(*states)
    for ours, theirs in zip(new, oracle_map(oracle_rules(parameters))(*states), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    fired, rising = (new[0] == -1) & (states[0] > 0), (new[0] != -1) & (states[0] > 0)
    assert min(fired.sum(), rising.sum(), (states[0] <= 0).sum()) > 500
    assert (states[1][rising] <= 0).all()


def test_event_sizes_are_those_of_the_oracle_in_numpy_and_cpp(twins, oracle_rules):
    p, rules = twins.parameters, oracle_rules(twins.parameters)
    n_pre, n_post = p.n_hidden, 8
    i, j = (a.ravel().copy() for a in np.meshgrid(np.arange(0, n_pre, 3), np.arange(n_post), indexing="ij"))
    sizes = np.empty(len(i))
    numpy_sizes = cell_functions(p, None)["event_size"].pyfunc
    for seed, stream, epoch, step in ((1, 8, 0, 0), (2**62, 9, 31_000_000, p.timing.steps_per_epoch - 1)):
        twins.event_sizes(len(i), seed, stream, epoch, step, i, j, n_pre, n_post, sizes)
        expected = oracle.event_variability(oracle.key(seed, stream, epoch), step, i, n_pre, j, n_post, rules)
        assert np.array_equal(numpy_sizes(seed, stream, epoch, step, i, j, n_pre, n_post), sizes)
        np.testing.assert_allclose(sizes, expected, rtol=1e-15)
        assert sizes.min() >= 1 - p.synapse.noise
        assert sizes.max() < 1 + p.synapse.noise
        assert len(set(sizes.tolist())) == len(sizes)
