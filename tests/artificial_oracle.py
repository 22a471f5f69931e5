"""Independent reference of the sleep of networks without spikes: dense NumPy, one statement per rule, written from the page about
it (rule, constants, order) and docs/conventions.md alone. It shares no code with the package. Weights are (n, n_before)."""

import numpy as np
from oracle import integer, key, uniform

INPUT, WINDOW = 21, 22  # streams


def change(w):
    """g(W)."""
    return 2.0 / (1.0 + np.exp(w / 0.001))


def forward(weights, images):
    """Activity of each layer, ReLU everywhere."""
    found, values = [], images
    for w in weights:
        values = np.maximum(values @ w.T, 0.0)
        found.append(values)
    return found


def factors(weights, images):
    """1 / (the product of the factor of the layer before, and the largest weight or activity)."""
    found, before = [], 1.0
    for w, activity in zip(weights, forward(weights, images), strict=True):
        before = 1.0 / (before * max(w.max(), activity.max()))
        found.append(before)
    return found


def input_spikes(seed, step, mean, shape, window, rate):
    """Which pixels spike, (n_input,) bool."""
    n = len(mean)
    open_ = np.ones(n, bool)
    if window:
        place = key(seed, WINDOW, step)
        top, left = integer(place, 0, shape[0] - window + 1), integer(place, 1, shape[1] - window + 1)
        mask = np.zeros(shape, bool)
        mask[top : top + window, left : left + window] = True
        open_ = mask.ravel()
    draws = uniform(key(seed, INPUT, step), np.arange(n))
    return open_ & (draws < 2.0 * 0.001 * rate * mean)


class Sleeper:
    """A network asleep; `step` advances it by 1 ms and returns the spikes of the input and of each layer."""

    def __init__(self, weights, images, shape, *, rate, inc, dec, beta, a, window, seed):
        self.weights = [w.astype(float).copy() for w in weights]
        self.mean = images.mean(axis=0)
        self.alpha = [a * k for k in factors(weights, images)]
        self.v = [np.zeros(len(w)) for w in weights]
        self.shape, self.rate, self.inc, self.dec, self.beta = shape, rate, inc, dec, beta
        self.window, self.seed, self.t = window, seed, 0

    def step(self):
        spikes = [input_spikes(self.seed, self.t, self.mean, self.shape, self.window, self.rate)]
        for k, w in enumerate(self.weights):
            s = spikes[-1]
            self.v[k] = 0.999 * self.v[k] + self.alpha[k] * (w @ s)
            fired = self.v[k] >= self.beta[k]
            self.v[k][fired] = 0.0
            w += np.where(fired[:, None], np.where(s, self.inc * change(w), -self.dec * change(w)), 0.0)
            spikes.append(fired)
        self.t += 1
        return spikes
