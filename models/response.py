"""The response of a resting cell to one pulse: when it spikes, and what is left of it at the end of the epoch.

A cell at rest whose input x jumps by P spikes at times that are a function of P alone. `ResponseTable` holds that function, found
by stepping the map itself: the pulses at which a spike time changes, to the last bit; between them the state at the end of the
epoch, interpolated. Cells are not quite at rest when the pulse comes (see models/event.py); to first order that is a shift of P.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from foraging_snn.environments.jit import cached_njit, kept_table
from foraging_snn.models.arithmetic import fit_nodes, interpolate, matrix_power, parabolas, polynomial_fit
from foraging_snn.models.parameters import Cell

MAX_SPIKES = 6  # kept per response; a pulse that evokes more is stepped exactly
DEGREE = 8  # of the polynomials for pulses well below threshold
BULK = 0.75  # up to this share of the threshold pulse they serve
GRID = 4001
FINEST = 60  # halvings of an interval of pulses, at most
PERTURBATION = 1e-4


class CellConstants(NamedTuple):
    """Numbers of the map, for jitted code."""

    alpha: float
    beta_e: float
    mu: float
    mu_sigma: float
    decay: float
    V_rest: float
    u_rest: float

    @classmethod
    def of(cls, cell: Cell) -> "CellConstants":
        """Constants of a set of parameters; rest is the fixed point of the map for x = 0."""
        V = cell.sigma - 1.0
        return cls(cell.alpha, cell.beta_e, cell.mu, cell.mu * cell.sigma, cell.input_decay, V, V - cell.alpha / (1.0 - V))


@cached_njit(error_model="numpy")
def step_cell(V, V_2, u, x, c):
    """One step of one cell: new V, u, x, spiked. The arithmetic is that of models/cpp/cell.h."""
    w = u + c.beta_e * x
    spiked = False
    if V <= 0.0:
        V_new = c.alpha / (1.0 - V) + w
    elif V < c.alpha + w and V_2 <= 0.0:
        V_new = c.alpha + w
    else:
        V_new = -1.0
        spiked = True
    return V_new, u - c.mu * (V + 1.0) + c.mu_sigma + c.mu * x, c.decay * x, spiked


@cached_njit
def respond(V, u, x, steps, c, spikes):
    """Step one cell; returns the number of spikes, and V and u at the end. `spikes` receives their steps, counted from 1."""
    V_1 = V_2 = V
    n = 0
    for step in range(1, steps + 1):
        V_new, u, x, spiked = step_cell(V, V_2, u, x, c)
        V, V_1, V_2 = V_new, V, V_1
        if spiked:
            if n < len(spikes):
                spikes[n] = step
            n += 1
    return n, V, u


class ResponseTable(NamedTuple):
    """Response to a pulse P that arrives `steps` steps before the end of the epoch.

    Attributes
    ----------
    steps : int
        Steps from the arrival to the end of the epoch.
    bulk : float
        Pulses below it evoke nothing; their end states are polynomials in P / bulk.
    largest : float
        Largest tabulated pulse.
    V_bulk, u_bulk : (DEGREE + 1,)
        Coefficients, highest first, of V and u at the end, minus rest.
    first_knot : (GRID,) int64
    per_pulse : float
        Where to begin the search for the interval of a pulse: first_knot[int((P - bulk) * per_pulse)].
    knot : (K,)
        Ascending pulses from `bulk` to `largest`; spike times are constant in between.
    n_spikes : (K,) int64
    spike : (K, MAX_SPIKES) int64
        Steps from arrival to spike, in the interval that begins at the knot.
    V_end, u_end : (K, 3)
        Coefficients, highest first, of V and u at the end, minus rest, over the interval mapped to 0 ... 1.
    shift_V, shift_u : (K,)
        How much a unit deviation of V or u from rest at the arrival counts as pulse.
    propagator : (2, 3)
        V and u (minus rest) at the end as a linear function of V, u (minus rest) and x at the arrival.
    """

    steps: int
    bulk: float
    largest: float
    V_bulk: np.ndarray
    u_bulk: np.ndarray
    first_knot: np.ndarray
    per_pulse: float
    knot: np.ndarray
    n_spikes: np.ndarray
    spike: np.ndarray
    V_end: np.ndarray
    u_end: np.ndarray
    shift_V: np.ndarray
    shift_u: np.ndarray
    propagator: np.ndarray


def linear_propagator(c: CellConstants, steps: int) -> np.ndarray:
    """V and u (minus rest) after some steps as a linear function of V, u (minus rest) and x before, shape (2, 3)."""
    slope = c.alpha / ((1.0 - c.V_rest) * (1.0 - c.V_rest))
    return matrix_power([[slope, 1.0, c.beta_e], [-c.mu, 1.0, c.mu], [0.0, 0.0, c.decay]], steps)[:2]


@lru_cache(maxsize=16)  # the engines of a process mostly have the same cells
def response_table(c: CellConstants, steps: int, largest: float) -> ResponseTable:
    """Tabulate the response to pulses up to `largest`, from steps of the map itself; half a second, or from the cache. Not to be
    written to."""
    arguments = ("response", [float(value) for value in (*c, largest)], steps)
    return ResponseTable(*kept_table(arguments, lambda: _tabulate(c, steps, largest)))


def _tabulate(c: CellConstants, steps: int, largest: float) -> ResponseTable:
    threshold = _threshold(c, steps, largest)
    bulk = BULK * threshold
    V_bulk, u_bulk = _bulk_polynomials(c, steps, bulk)
    knot = _knots(c, steps, bulk, threshold, largest)
    n_spikes, spike, V_end, u_end = _intervals(c, steps, knot, largest)
    shift_V, shift_u = _shifts(c, steps, knot, threshold)
    per_pulse = (GRID - 1) / (largest - bulk)
    first_knot = np.searchsorted(knot, bulk + np.arange(GRID) / per_pulse * (1.0 - 1e-12), side="right") - 1
    return ResponseTable(
        steps,
        bulk,
        largest,
        V_bulk,
        u_bulk,
        np.maximum(first_knot, 0),
        per_pulse,
        knot,
        n_spikes,
        spike,
        V_end,
        u_end,
        shift_V,
        shift_u,
        linear_propagator(c, steps),
    )


def _threshold(c: CellConstants, steps: int, largest: float) -> float:
    """Smallest pulse that evokes a spike; `largest` if none does."""
    return _first_pulse(c, steps, steps, 0.0, largest, 0.0, 0.0)


@cached_njit
def _first_pulse(c, steps, latency, low, high, dV, du):
    """Smallest pulse in low ... high whose first spike comes after at most `latency` steps, by bisection."""
    spikes = np.zeros(1, np.int64)
    for _ in range(FINEST):
        middle = 0.5 * (low + high)
        if middle in (low, high):  # neighbours
            break
        n, _V, _u = respond(c.V_rest + dV, c.u_rest + du, middle, min(latency, steps), c, spikes)
        if n > 0:
            high = middle
        else:
            low = middle
    return high


@cached_njit
def _same_response(c, steps, a, b):
    first, second = np.zeros(MAX_SPIKES, np.int64), np.zeros(MAX_SPIKES, np.int64)
    n_a, _V, _u = respond(c.V_rest, c.u_rest, a, steps, c, first)
    n_b, _V, _u = respond(c.V_rest, c.u_rest, b, steps, c, second)
    return n_a == n_b and np.array_equal(first, second)


@cached_njit
def _changes(c, steps, pulses):
    """All pulses between the first and the last of `pulses` at which the spike times change."""
    found = []
    for k in range(len(pulses) - 1):
        left, right = pulses[k], pulses[k + 1]
        while not _same_response(c, steps, left, right):
            low, high = left, right
            for _ in range(FINEST):
                middle = 0.5 * (low + high)
                if middle in (low, high):
                    break
                if _same_response(c, steps, left, middle):
                    low = middle
                else:
                    high = middle
            found.append(high)
            left = high
    return np.array(found)


def _knots(c: CellConstants, steps: int, bulk: float, threshold: float, largest: float) -> np.ndarray:
    grid = np.linspace(bulk, largest, GRID)
    if threshold < largest:
        grid = np.concatenate((grid, _changes(c, steps, grid)))
    # the end state bends ever faster towards the threshold, from both sides
    halvings = np.ldexp(1.0, -np.arange(1, 34))
    below, above = threshold - (threshold - bulk) * halvings, threshold + (threshold - bulk) * halvings
    return np.unique(np.concatenate((grid, below, above[above < largest])))


def _intervals(c: CellConstants, steps: int, knot: np.ndarray, largest: float) -> tuple[np.ndarray, ...]:
    right = np.append(knot[1:], largest)
    at = (0.05, 0.5, 0.95)
    n = np.zeros(len(knot), np.int64)
    spike = np.zeros((len(knot), MAX_SPIKES), np.int64)
    ends = np.zeros((2, len(knot), 3))
    for k, t in enumerate(at):
        pulses = knot + t * (right - knot)
        counted, steps_of, V, u = _respond_all(c, steps, pulses)
        if k == 1:
            n, spike = counted, steps_of
        ends[0, :, k], ends[1, :, k] = V - c.V_rest, u - c.u_rest
    return n, spike, parabolas(at, ends[0]), parabolas(at, ends[1])


@cached_njit
def _respond_all(c, steps, pulses):
    n = np.zeros(len(pulses), np.int64)
    spike = np.zeros((len(pulses), MAX_SPIKES), np.int64)
    V, u = np.empty(len(pulses)), np.empty(len(pulses))
    for k in range(len(pulses)):
        n[k], V[k], u[k] = respond(c.V_rest, c.u_rest, pulses[k], steps, c, spike[k])
    return n, spike, V, u


def _bulk_polynomials(c: CellConstants, steps: int, bulk: float) -> tuple[np.ndarray, np.ndarray]:
    _, _, V, u = _respond_all(c, steps, fit_nodes(DEGREE) * bulk)
    return polynomial_fit(V - c.V_rest, DEGREE), polynomial_fit(u - c.u_rest, DEGREE)


def _shifts(c: CellConstants, steps: int, knot: np.ndarray, threshold: float) -> tuple[np.ndarray, np.ndarray]:
    """Measured at the pulses where the first spike moves by a step: by how much a deviation of V or u moves that pulse."""
    at, shifts = [], ([], [])
    latency = steps
    reached = threshold
    while reached < knot[-1] and latency > 1:
        at.append(reached)
        for shift, (dV, du) in zip(shifts, ((PERTURBATION, 0.0), (0.0, PERTURBATION)), strict=True):
            high, low = (_first_pulse(c, steps, latency, 0.0, 2 * knot[-1], sign * dV, sign * du) for sign in (-1, 1))
            shift.append((high - low) / (2 * PERTURBATION))
        latency = _latency(c, steps, reached) - 1
        reached = _first_pulse(c, steps, latency, 0.0, 2 * knot[-1], 0.0, 0.0)
    if not at:
        return np.zeros(len(knot)), np.zeros(len(knot))
    of_V, of_u = (interpolate(knot, np.array(at), np.array(shift)) for shift in shifts)
    return of_V, of_u


def _latency(c: CellConstants, steps: int, pulse: float) -> int:
    spikes = np.zeros(1, np.int64)
    respond(c.V_rest, c.u_rest, pulse, steps, c, spikes)
    return int(spikes[0])
