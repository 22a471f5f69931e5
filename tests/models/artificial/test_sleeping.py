"""Sleep of networks without spikes: the rule against the oracle, the same bits for the same seed, what is refused."""

import hashlib
import math
import os
import subprocess
import sys
import time
import tracemalloc

import numpy as np
import pytest
from artificial_oracle import Sleeper, change, factors

torch = pytest.importorskip("torch")

from foraging_snn.models.artificial import NetworkError  # noqa: E402
from foraging_snn.models.artificial.network import Layer, layers_of, new_network, with_weights  # noqa: E402
from foraging_snn.models.artificial.sleeping import POWERS, SleepParameters, _exp, applied_factors, sleep, sleep_weights  # noqa: E402

SHAPE = (6, 5)  # not square
SIZES = (30, 20, 12, 4)
LIVELY = SleepParameters(rate=300.0, increase=0.03, decrease=0.003, thresholds=(3.0, 2.0, 1.0), scale=10.0, window=3)


def network(seed=1, sizes=SIZES):
    """With weights of both signs that are far from all alike."""
    random = np.random.default_rng(seed)
    made = new_network(sizes, seed=seed)
    return with_weights(made, [random.normal(0.02, 0.05, (n, m)) for m, n in zip(sizes[:-1], sizes[1:], strict=True)])


def images(n=7):
    return np.random.default_rng(5).uniform(0.0, 1.0, (n, *SHAPE)).astype(np.float32)


def weights_of(found):
    return [layer.weights for layer in layers_of(found)]


def oracle(net, parameters, seed):
    given = {"rate": parameters.rate, "inc": parameters.increase, "dec": parameters.decrease, "beta": parameters.thresholds}
    flat = images().reshape(7, -1).astype(float)
    return Sleeper(weights_of(net), flat, SHAPE, a=parameters.scale, window=parameters.window, seed=seed, **given)


@pytest.mark.parametrize("window", [3, None])
def test_every_step_is_that_of_the_oracle(window):
    steps, seed = 300, 3
    parameters = SleepParameters(**(LIVELY.as_numbers() | {"window": window}))
    plain = with_weights(new_network(SIZES, seed=1, dropout=0.0), weights_of(network()))
    expected = oracle(plain, parameters, seed)
    found, record = sleep(plain.double(), images(), steps, parameters=parameters, seed=seed, snapshots=range(1, steps))
    counts = [np.zeros(n, int) for n in SIZES]
    for step in range(steps):
        spikes = expected.step()
        counts = [total + fired for total, fired in zip(counts, spikes, strict=True)]
        ours = record.snapshots[step] if step < steps - 1 else weights_of(found)
        for w, reference in zip(ours, expected.weights, strict=True):
            np.testing.assert_allclose(w, reference, rtol=1e-10, atol=1e-14)
    for ours, total in zip(record.spikes, counts, strict=True):
        assert ours.tolist() == total.tolist()
    assert min(total.sum() for total in counts) > 30  # it was a lively sleep


def test_exp_of_the_kernel_is_that_of_the_library_to_its_last_places():
    values = np.concatenate([np.linspace(-50.0, 50.0, 4001), [-699.0, 699.0]])
    assert max(abs(_exp(x, POWERS) / math.exp(x) - 1.0) for x in values.tolist()) < 1e-15 * 4
    assert _exp(1e6, POWERS) == _exp(700.0, POWERS)
    assert change(0.0) == 1.0


def test_factors_are_those_of_the_program():
    plain = with_weights(new_network(SIZES, seed=1, dropout=0.0), weights_of(network()))
    flat = images().reshape(7, -1).astype(float)
    assert applied_factors(layers_of(plain), flat).tolist() == pytest.approx(factors(weights_of(plain), flat), rel=1e-12)
    first, second, _ = applied_factors(layers_of(plain), None)
    assert (1.0 / first, 1.0 / (first * second)) == pytest.approx([w.max() for w in weights_of(plain)[:2]])


def test_only_weights_to_cells_that_spiked_change_and_the_network_given_stays():
    net = network()
    before = weights_of(net)
    slept, record = sleep(net, images(), 60, parameters=LIVELY, seed=1)
    for k, (old, new) in enumerate(zip(before, weights_of(slept), strict=True)):
        spiked = record.spikes[k + 1] > 0
        assert (old != new).any(axis=1).tolist() == spiked.tolist()
        assert not spiked.all() or k
    assert all((old == now).all() for old, now in zip(before, weights_of(net), strict=True))
    assert slept[0].weight.dtype == net[0].weight.dtype


def test_one_seed_gives_one_sleep_and_another_seed_another():
    runs = [sleep(network(), images(), 200, parameters=LIVELY, seed=seed)[0] for seed in (4, 4, 5)]
    assert all(torch.equal(a.weight, b.weight) for a, b in zip(runs[0][::3], runs[1][::3], strict=True))
    assert not torch.equal(runs[0][0].weight, runs[2][0].weight)


def test_a_sleep_with_snapshots_is_that_without():
    alone, _ = sleep(network(), images(), 100, parameters=LIVELY, seed=1)
    looked_at, record = sleep(network(), images(), 100, parameters=LIVELY, seed=1, snapshots=[10, 100])
    assert torch.equal(alone[0].weight, looked_at[0].weight)
    assert record.snapshot_steps == (10, 100)
    assert (record.snapshots[1][0].astype(np.float32) == alone[0].weight.detach().numpy()).all()


def test_noise_of_one_rate_drives_a_network_that_saw_nothing():
    slept, record = sleep(network(), 0.5, 500, parameters=LIVELY, seed=1, image_shape=SHAPE)
    assert record.share_spiking[0] == pytest.approx(0.5 * 2 * 0.001 * 300 * 9 / 30, rel=0.1)
    assert not torch.equal(slept[0].weight, network()[0].weight)


# -------------------------------------------------------------------------------------------------- the same bits everywhere

REFERENCE = "1a51becd00fe8a828326225f2c790dffc32627295053015145696b62faccad3b"


def digest():
    """Of a short sleep on arrays alone: no library of linear algebra has a part in it."""
    random = np.random.default_rng(9)
    layers = [Layer(random.integers(-200, 240, (n, m)) / 2000.0) for m, n in ((49, 40), (40, 30), (30, 5))]
    drive = random.integers(0, 100, 49) / 128.0
    weights, record = sleep_weights(layers, drive, (7, 7), np.array([1.0, 2.0, 0.5]), 2000, LIVELY, 11)
    found = hashlib.sha256()
    for array in (*weights, *record.spikes):
        found.update(np.ascontiguousarray(array))
    return found.hexdigest()


def test_one_seed_gives_the_reference_weights():
    assert digest() == REFERENCE


@pytest.mark.slow
@pytest.mark.parametrize("processor", ["x86-64", "x86-64-v3"])
def test_one_seed_gives_the_reference_weights_under_other_instruction_sets(processor, tmp_path):
    code = f"import sys; sys.path.insert(0, {os.path.dirname(__file__)!r}); import test_sleeping; print(test_sleeping.digest())"
    environment = os.environ | {"NUMBA_CPU_NAME": processor, "NUMBA_CPU_FEATURES": "", "NUMBA_CACHE_DIR": str(tmp_path)}
    environment |= {"PYTHONPATH": os.pathsep.join(sys.path)}
    found = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == REFERENCE


@pytest.mark.slow
def test_a_sleep_is_ten_times_faster_than_a_dense_loop_and_small():
    sizes, steps = (784, 1200, 1200, 10), 300
    random = np.random.default_rng(1)
    plain = with_weights(
        new_network(sizes, seed=1, dropout=0.0),
        [random.normal(0, 0.02, (n, m)) for m, n in zip(sizes[:-1], sizes[1:], strict=True)],
    )
    seen = random.uniform(0.0, 0.5, (50, 28, 28))
    quiet = SleepParameters(200.0, 0.03, 0.003, (14.0, 44.0, 38.0), 30.0, 11)
    sleep(plain, seen, 1, parameters=quiet, seed=1)  # compiled
    tracemalloc.start()
    sleep(plain, np.repeat(seen, 100, axis=0), 1, parameters=quiet, seed=1)  # 5000 images
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 0.5e9

    def ours():
        began = time.process_time()
        sleep(plain, seen, steps, parameters=quiet, seed=1)
        return time.process_time() - began

    given = {"rate": 200.0, "inc": 0.03, "dec": 0.003, "beta": quiet.thresholds, "a": 30.0, "window": 11}
    dense = Sleeper(weights_of(plain), seen.reshape(50, -1), (28, 28), seed=1, **given)
    began = time.process_time()
    for _ in range(steps):
        dense.step()
    assert time.process_time() - began > 10.0 * min(ours() for _ in range(3))


# ------------------------------------------------------------------------------------------------------------ what is refused


def changed(**what):
    return SleepParameters(**(LIVELY.as_numbers() | what))


REFUSED = [
    (lambda: torch.nn.Linear(30, 4, bias=False), "a Linear given, allowed is a torch.nn.Sequential"),
    (
        lambda: torch.nn.Sequential(torch.nn.Linear(30, 4), torch.nn.ReLU()),
        "0 (Linear) has a bias, allowed is Linear(..., bias=False)",
    ),
    (lambda: torch.nn.Sequential(torch.nn.Linear(30, 4, bias=False), torch.nn.Tanh()), "1 is a Tanh, allowed are Linear"),
    (lambda: torch.nn.Sequential(torch.nn.Linear(30, 4, bias=False)), "no ReLU after its last Linear"),
    (
        lambda: torch.nn.Sequential(torch.nn.Linear(30, 9, bias=False), torch.nn.Linear(9, 4, bias=False), torch.nn.ReLU()),
        "no ReLU before 1",
    ),
    (
        lambda: torch.nn.Sequential(
            torch.nn.Linear(30, 9, bias=False), torch.nn.ReLU(), torch.nn.Linear(8, 4, bias=False), torch.nn.ReLU()
        ),
        "takes 8 inputs, the layer before has 9",
    ),
    (
        lambda: with_weights(network(), [np.full_like(w, np.nan) for w in weights_of(network())]),
        "weights that are no finite numbers",
    ),
    (lambda: with_weights(network(), [-abs(w) for w in weights_of(network())]), "layer 1 has no positive weight"),
]


@pytest.mark.parametrize(("make", "said"), REFUSED)
def test_another_network_is_refused(make, said):
    with pytest.raises(NetworkError) as error:
        sleep(make(), images(), 5, parameters=LIVELY, seed=1)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ({"images": np.zeros((3, 29))}, "images: 3 x 29 given, allowed are images of 30 pixels"),
        ({"images": np.full((3, 30), -1.0)}, "negative or no finite numbers"),
        ({"images": np.ones((3, 30))}, "image_shape: no shape given for 30 pixels"),
        ({"images": np.ones((3, 30)), "image_shape": (3, 9)}, "image_shape: 3 x 9 given for 30 pixels"),
        ({"images": 2.0}, "rate: 2 given, allowed is the value of all pixels, 0 to 1"),
        ({"parameters": {"window": 6}}, "window 6 given, allowed is 1 to 5"),
        ({"parameters": {"thresholds": (1.0, 2.0)}}, "2 thresholds given, allowed is one for each of 3 layers"),
        ({"parameters": {"rate": float("nan")}}, "rate nan given"),
        ({"steps": 0}, "steps: 0 given, allowed is 1 to 10,000,000"),
        ({"snapshots": [3, 2]}, "snapshots: [3, 2] given"),
    ],
)
def test_what_cannot_be_slept_on_is_refused(what, said):
    options = {"images": images(), "steps": 5} | what
    parameters = lambda: changed(**options.pop("parameters", {}))  # noqa: E731
    with pytest.raises(NetworkError) as error:
        sleep(network(), options.pop("images"), options.pop("steps"), parameters=parameters(), seed=1, **options)
    assert said in str(error.value)
