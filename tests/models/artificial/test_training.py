"""Networks without spikes, awake: gradient descent against formulas, dropout, rehearsal, elastic weights, with spikes."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from foraging_snn.models.artificial import NetworkError  # noqa: E402
from foraging_snn.models.artificial.network import activities, layers_of, new_network, sparseness, with_weights  # noqa: E402
from foraging_snn.models.artificial.spiking import to_spiking  # noqa: E402
from foraging_snn.models.artificial.training import Buffer, Descent, Elastic, Rehearsal, choices, errors, train, updates_of  # noqa: E402

SIZES = (6, 9, 3)
RANDOM = np.random.default_rng(3)
IMAGES = RANDOM.uniform(0.0, 1.0, (12, 6)).astype(np.float32)
LABELS = np.arange(12) % 3


def network(dropout=0.0):
    random = np.random.default_rng(8)
    return with_weights(
        new_network(SIZES, seed=1, dropout=dropout), [random.uniform(-0.3, 0.5, (n, m)) for m, n in ((6, 9), (9, 3))]
    )


def weights_of(net):
    return [layer.weights for layer in layers_of(net)]


def gradient(weights, images, labels):
    """Of the mean over images of half the squared error, by hand."""
    first, second = weights
    hidden = np.maximum(images @ first.T, 0.0)
    out = np.maximum(hidden @ second.T, 0.0)
    back = (out - np.eye(3)[labels]) * (out > 0) / len(images)
    return [((back @ second) * (hidden > 0)).T @ images, back.T @ hidden]


def test_updates_are_gradient_descent_with_momentum_on_half_the_squared_error():
    net = network()
    expected, velocity = weights_of(net), [0.0, 0.0]
    for _ in range(3):
        velocity = [0.5 * v + g for v, g in zip(velocity, gradient(expected, IMAGES, LABELS), strict=True)]
        expected = [w - 0.2 * v for w, v in zip(expected, velocity, strict=True)]
    train(net, IMAGES, LABELS, 3, n_classes=3, descent=Descent(0.2, 0.5, 100), seed=1)
    for ours, reference in zip(weights_of(net), expected, strict=True):
        np.testing.assert_allclose(ours, reference, rtol=1e-4, atol=1e-6)


def test_an_elastic_pull_adds_its_gradient():
    net = network()
    start = weights_of(net)
    elastic = Elastic(7.0)
    elastic.consolidate(net, IMAGES, LABELS, 3)
    each = [gradient(start, IMAGES[k : k + 1], LABELS[k : k + 1]) for k in range(12)]
    importance = [np.mean([found[layer] ** 2 for found in each], axis=0) for layer in (0, 1)]
    moved = with_weights(net, [w + 0.1 for w in start])
    penalty = elastic.penalty(moved)
    assert penalty.item() == pytest.approx(0.5 * 7.0 * sum(f.sum() for f in importance) * 0.01, rel=1e-4)
    before = weights_of(moved)
    expected = [g + 7.0 * f * 0.1 for g, f in zip(gradient(before, IMAGES, LABELS), importance, strict=True)]
    train(moved, IMAGES, LABELS, 1, n_classes=3, descent=Descent(0.2, 0.0, 100), seed=1, elastic=elastic)
    for ours, old, step in zip(weights_of(moved), before, expected, strict=True):
        np.testing.assert_allclose((old - ours) / 0.2, step, rtol=1e-3, atol=1e-5)


def test_rehearsed_images_add_their_error():
    rehearsal = Rehearsal(IMAGES[:1], LABELS[:1], 3.0)
    net = network()
    before = weights_of(net)
    train(net, IMAGES[1:], LABELS[1:], 1, n_classes=3, descent=Descent(0.2, 0.0, 100), seed=1, rehearsal=rehearsal)
    new, old = gradient(before, IMAGES[1:], LABELS[1:]), gradient(before, IMAGES[:1], LABELS[:1])
    for ours, start, a, b in zip(weights_of(net), before, new, old, strict=True):
        np.testing.assert_allclose((start - ours) / 0.2, a + 3.0 * b, rtol=1e-3, atol=1e-5)


def test_dropout_is_that_of_the_authors_program():
    net = network(dropout=0.25)
    first, second = weights_of(net)
    hidden = 0.75 * np.maximum(IMAGES @ first.T, 0.0)
    expected = np.maximum(hidden @ second.T, 0.0)
    net.eval()
    np.testing.assert_allclose(net(torch.from_numpy(IMAGES)).detach().numpy(), expected, rtol=1e-5)
    np.testing.assert_allclose(activities(layers_of(net), IMAGES)[1], expected, rtol=1e-12)
    net.train()
    with torch.random.fork_rng():
        torch.manual_seed(1)
        shown = net[:3](torch.from_numpy(np.repeat(IMAGES[:1], 4000, axis=0))).detach().numpy()
    alive = np.maximum(IMAGES[:1] @ first.T, 0.0)[0]
    for k in np.flatnonzero(alive > 0.05):
        assert set(np.unique(shown[:, k] > 0)) == {False, True}
        assert shown[:, k].max() == pytest.approx(alive[k], rel=1e-5)  # what is left is not enlarged
        assert (shown[:, k] == 0).mean() == pytest.approx(0.25, abs=0.03)


def test_one_seed_gives_one_training_and_leaves_the_global_generator_alone():
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    nets = [network(dropout=0.25) for _ in range(3)]
    for net, seed in zip(nets, (1, 1, 2), strict=True):
        train(net, IMAGES, LABELS, 5, n_classes=3, descent=Descent(0.2, 0.5, 4), seed=seed)
    assert torch.rand(1) == expected
    assert all((a == b).all() for a, b in zip(weights_of(nets[0]), weights_of(nets[1]), strict=True))
    assert not all((a == b).all() for a, b in zip(weights_of(nets[0]), weights_of(nets[2]), strict=True))


def test_errors_and_choices_are_those_of_the_outputs():
    net = network()
    out = activities(layers_of(net), IMAGES)[-1]
    np.testing.assert_allclose(errors(net, IMAGES, LABELS, 3), 0.5 * ((out - np.eye(3)[LABELS]) ** 2).sum(axis=1), rtol=1e-5)
    assert choices(net, IMAGES).tolist() == out.argmax(axis=1).tolist()
    assert updates_of(250, 2.0, 100) == 4
    assert updates_of(7, 3.0, 100) == 3


def test_sparseness_is_that_of_treves_and_rolls():
    assert sparseness(np.eye(4)) == 1.0
    assert sparseness(np.ones((3, 4))) == 0.0
    one = np.array([[0.0, 1.0, 3.0]])  # a = (4/3)^2 / (10/3) = 8/15, S = (7/15) / (2/3)
    assert sparseness(one) == pytest.approx(0.7)
    assert sparseness(np.vstack([one, 7.0 * one, np.zeros((2, 3))])) == pytest.approx(0.7)  # silent images do not count
    assert np.isnan(sparseness(np.zeros((2, 3))))


def test_a_buffer_holds_the_same_number_of_every_class_first_ones_first():
    buffer = Buffer(8)
    assert buffer.rehearsal(1.0) is None
    images = np.arange(20, dtype=np.float32)[:, None]
    buffer.add(images[:10], np.repeat([0, 1], 5), np.arange(10)[::-1])
    held = buffer.rehearsal(2.0)
    assert held.images.ravel().tolist() == [4, 3, 2, 1, 9, 8, 7, 6]
    assert (held.labels.tolist(), held.weight) == ([0] * 4 + [1] * 4, 2.0)
    buffer.add(images[10:], np.repeat([2, 3], 5), np.arange(10))
    assert buffer.rehearsal(1.0).images.ravel().tolist() == [4, 3, 9, 8, 10, 11, 15, 16]


@pytest.mark.parametrize(
    ("what", "said"),
    [
        (lambda: Descent(rate=0.0), "training: rate 0"),
        (lambda: Buffer(0), "buffer: 0 images given"),
        (lambda: Elastic(-1.0), "elastic: strength -1 given"),
        (lambda: new_network((5,), seed=1), "layers: 5 given"),
        (lambda: new_network((5, 0), seed=1), "layers: 5,0 given"),
        (lambda: new_network((5, 2), seed=1, dropout=1.0), "dropout: 1 given"),
        (lambda: train(network(), IMAGES[:0], LABELS[:0], 1, n_classes=3, descent=Descent(), seed=1), "no image given"),
        (lambda: train(network(), IMAGES * 1e30, LABELS, 9, n_classes=3, descent=Descent(), seed=1), "no finite number any more"),
    ],
)
def test_what_cannot_be_trained_is_refused(what, said):
    with pytest.raises(NetworkError) as error:
        what()
    assert said in str(error.value)


# ------------------------------------------------------------------------------------------------------- with spikes, on images


def dense_run(weights, images, steps, spikes_of):
    """The spiking network, written out; `spikes_of(image, step)` are those of the input."""
    output = np.zeros((steps, len(images), len(weights[-1])), int)
    for image in range(len(images)):
        v = [np.zeros(len(w)) for w in weights]
        for step in range(steps):
            s = spikes_of(image, step)
            for k, w in enumerate(weights):
                v[k] += w @ s
                s = v[k] >= 1.0
                v[k][s] = 0.0
            output[step, image] = s
    return output.cumsum(axis=0)


def test_the_spiking_network_is_that_of_diehl_et_al():
    net = network()
    images = np.ones((2, 6), np.float32) * np.array([[1.0], [0.0]], np.float32)  # every pixel in every step, or none
    spiking = to_spiking(net, IMAGES)
    weights = weights_of(net)
    hidden, out = activities(layers_of(net), IMAGES)
    largest = [max(weights[0].max(), hidden.max()), max(weights[1].max(), out.max())]
    normalised = [weights[0] / largest[0], weights[1] * largest[0] / largest[1]]
    found = spiking.run(images, 30, seed=1)
    assert found.output_spikes.tolist() == dense_run(normalised, images, 30, lambda image, step: images[image] > 0).tolist()
    assert found.spikes[0] == 30 * 6
    assert set(found.choices()[:, 1]) == {-1}


def test_pixels_spike_as_often_as_their_value_says():
    found = to_spiking(network(), IMAGES).run(IMAGES, 3000, seed=2, largest_probability=0.5)
    assert found.spikes[0] / 3000 == pytest.approx(0.5 * IMAGES.sum(), rel=0.02)
    again = to_spiking(network(), IMAGES).run(IMAGES, 3000, seed=2, largest_probability=0.5)
    assert (again.output_spikes == found.output_spikes).all()
    assert found.accuracy(LABELS).shape == (3000,)


def test_a_spiking_network_takes_images_of_its_size_only():
    with pytest.raises(NetworkError, match="images: 5 pixels given, allowed are 6"):
        to_spiking(network(), IMAGES).run(IMAGES[:, :5], 10, seed=1)
