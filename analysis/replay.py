"""The content of sleep: which hidden cells make which output cells fire, and how much that is as in each task.

Pure functions of spikes. Hidden cells are pulsed at random in sleep, each at its mean rate in the tasks, so *how often* they fire
says nothing about what the network replays. What it replays is which output cells fire after them: that is what the strengths
make of the random activity, what chooses the direction when awake, and, as the pairs of spikes that make STDP traces, all that
the strengths learn from.
"""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array
from sklearn.covariance import ledoit_wolf
from sklearn.metrics import roc_auc_score

from foraging_snn.models import N_OUTPUT, Parameters

N_SPLITS = 50
N_PERMUTATIONS = 200
MIN_RELIABILITY = 0.05  # of either recording; below, correcting for it would be dividing by noise


@dataclass(frozen=True)
class EpochActivity:
    """Activity of the hidden layer, and what follows it in the output layer, in E epochs of one kind (awake in a task, or asleep).

    Attributes
    ----------
    epoch : (E,) int64
        Number of each epoch, ascending; epochs without spikes are included.
    hidden : (E, H) sparse array
        Spikes of each hidden cell.
    pairs : (E, 8 H) sparse array
        Pairs of a spike of hidden cell h and a spike of output cell o, in column 8 h + o; see :func:`epoch_activity`.
    """

    epoch: np.ndarray
    hidden: csr_array
    pairs: csr_array

    def __len__(self) -> int:
        return len(self.epoch)

    def part(self, which: np.ndarray) -> "EpochActivity":
        """Some of the epochs.

        Parameters
        ----------
        which : (E,) bool array, or array of int
        """
        return EpochActivity(self.epoch[which], self.hidden[which], self.pairs[which])

    @property
    def halves(self) -> tuple["EpochActivity", "EpochActivity"]:
        """The earlier and the later half of the epochs."""
        first = np.arange(len(self)) < len(self) // 2
        return self.part(first), self.part(~first)


def epoch_activity(step: np.ndarray, cell: np.ndarray, epoch: np.ndarray, parameters: Parameters) -> EpochActivity:
    """Spikes and pairs of spikes, by epoch.

    Parameters
    ----------
    step : (n,) int array
        Step of each spike since the trial began, ascending.
    cell : (n,) int array
        In the order input, hidden, output.
    epoch : (E,) int array
        The epochs wanted, since the trial began, ascending. They must have been recorded: an epoch without spikes counts as silent.
    parameters : Parameters
        For the sizes of the layers and the timing.

    Returns
    -------
    EpochActivity
        A pair is a hidden spike at t and an output spike at t ... t + `plasticity.pair_window_steps` - 1, as for STDP, pre before
        (or at) post. It belongs to the epoch of the output spike. All pairs count alike, whatever the strength of the synapse.
    """
    n_in, n_hidden = parameters.n_input, parameters.n_hidden
    is_hidden, is_output = (cell >= n_in) & (cell < n_in + n_hidden), cell >= n_in + n_hidden
    hidden_step, hidden_cell = step[is_hidden], cell[is_hidden] - n_in
    output_step, output_cell = step[is_output], cell[is_output] - n_in - n_hidden
    first = np.searchsorted(hidden_step, output_step - parameters.plasticity.pair_window_steps, side="right")
    n_before = np.searchsorted(hidden_step, output_step, side="right") - first
    output_spike = np.repeat(np.arange(len(output_step)), n_before)
    hidden_spike = np.arange(len(output_spike)) + np.repeat(first - np.cumsum(n_before) + n_before, n_before)
    column = hidden_cell[hidden_spike] * N_OUTPUT + output_cell[output_spike]
    epoch, per_epoch = np.asarray(epoch, np.int64), parameters.timing.steps_per_epoch
    return EpochActivity(
        epoch,
        _counts(hidden_step // per_epoch, hidden_cell, epoch, n_hidden),
        _counts(output_step[output_spike] // per_epoch, column, epoch, n_hidden * N_OUTPUT),
    )


def _counts(epoch_of: np.ndarray, column: np.ndarray, epoch: np.ndarray, n_columns: int) -> csr_array:
    """How often each column occurs in each of the epochs wanted."""
    row = np.searchsorted(epoch, epoch_of)
    wanted = np.isin(epoch_of, epoch)
    ones = np.ones(np.count_nonzero(wanted))
    return csr_array((ones, (row[wanted], column[wanted])), shape=(len(epoch), n_columns))


def association(activity: EpochActivity) -> np.ndarray:
    """How much more often than expected each output cell fires after each hidden cell.

    Returns
    -------
    (H, 8) float64
        Number of pairs per epoch, less the number expected if the output cells did not care which hidden cells fire: the
        product of the hidden cell's and the output cell's total numbers of pairs, over the total. Rows and columns sum to 0.

    Notes
    -----
    With the expectation go the rates of the hidden cells, which sleep copies from the tasks by construction, and those of the
    output cells. What is left is what the strengths do.
    """
    pairs = np.asarray(activity.pairs.sum(axis=0), float).reshape(-1, N_OUTPUT)
    return _without_rates(pairs) / max(len(activity), 1)


def _without_rates(pairs: np.ndarray) -> np.ndarray:
    """Numbers of pairs (..., H, 8) less those expected from the sums of rows and columns."""
    total = pairs.sum(axis=(-2, -1), keepdims=True)
    expected = pairs.sum(axis=-1, keepdims=True) * pairs.sum(axis=-2, keepdims=True)
    return pairs - np.divide(expected, total, out=np.zeros_like(expected), where=total > 0)


@dataclass(frozen=True)
class Resemblance:
    """How much a piece of activity is as in a template; NaN where it cannot be said.

    Attributes
    ----------
    observed : float
        Correlation of the two associations, over pairs of a hidden and an output cell.
    corrected : float
        That over the square root of the product of both reliabilities: 1 if they differ by chance only, as two stretches of the
        same task do (the ceiling), 0 if they have nothing in common.
    control : (n,) float64
        As `corrected`, after the hidden cells' identities in the activity were permuted at random, n times.
    """

    observed: float
    corrected: float
    control: np.ndarray


def resemblance(activity: EpochActivity, template: EpochActivity, seed: int = 0) -> Resemblance:
    """How much activity, e.g. of sleep, is as in a template, e.g. of a task.

    Parameters
    ----------
    activity : EpochActivity
        Of epochs that do not depend on each other, as those of sleep, where every epoch has its own random pulses.
    template : EpochActivity
        Of epochs that may depend on their neighbours, as those of an agent that moves by a square at a time.
    seed : int
        For the random halves and permutations.

    Notes
    -----
    A correlation of counts in a few hundred epochs is far from 1 even between two stretches of the same task. So it is corrected
    for attenuation (Spearman, Am J Psychol 15: 72, 1904): divided by sqrt(r_activity * r_template), where r is the correlation
    that a second recording of the same length would have with the first. It is estimated from two halves by the formula of
    Spearman and Brown, r = 2 r_half / (1 + r_half); of the activity as the mean of random halves, of the template from its earlier
    and later half. That is why awake epochs held out are the ceiling. A piece of activity half as in one template and half as
    in another, unlike one, reaches about 0.7 with each. Where a reliability is below `MIN_RELIABILITY` there is no corrected value.
    """
    rng = np.random.default_rng(seed)
    ours, theirs = association(activity), association(template)
    reliability = _reliability_of_independent_epochs(activity, rng) * _reliability(*template.halves)
    scale = np.sqrt(reliability)
    products = ours @ theirs.T  # [g, h]: row g of the activity with row h of the template
    rows = np.arange(len(products))
    permuted = np.array([products[rng.permutation(rows), rows].sum() for _ in range(N_PERMUTATIONS)])
    length = np.linalg.norm(ours) * np.linalg.norm(theirs)
    if not length:
        return Resemblance(np.nan, np.nan, np.full(N_PERMUTATIONS, np.nan))
    observed = np.trace(products) / length
    return Resemblance(observed, observed / scale, permuted / length / scale)


def task_overlap(task_1: EpochActivity, task_2: EpochActivity) -> float:
    """How much two templates are alike: what activity wholly as in one of them has in common with the other.

    Returns
    -------
    float
        Correlation of the associations, corrected for attenuation as in :func:`resemblance`, here with both reliabilities from
        earlier and later halves; NaN where it cannot be said.
    """
    reliability = _reliability(*task_1.halves) * _reliability(*task_2.halves)
    return _correlation(association(task_1), association(task_2)) / np.sqrt(reliability)


def _correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Of two associations, which have mean 0; NaN if one is 0 everywhere."""
    length = np.linalg.norm(one) * np.linalg.norm(other)
    return float((one * other).sum() / length) if length else np.nan


def _reliability(one: EpochActivity, other: EpochActivity) -> float:
    return _whole(_correlation(association(one), association(other)))


def _reliability_of_independent_epochs(activity: EpochActivity, rng: np.random.Generator) -> float:
    n = len(activity)
    in_one = np.array([rng.permutation(n) < n // 2 for _ in range(N_SPLITS)], float)
    one = (activity.pairs.T @ in_one.T).T.reshape(N_SPLITS, -1, N_OUTPUT)
    other = np.asarray(activity.pairs.sum(axis=0)).reshape(-1, N_OUTPUT) - one
    halves = zip(_without_rates(one), _without_rates(other), strict=True)
    return _whole(float(np.mean([_correlation(*pair) for pair in halves])))


def _whole(half: float) -> float:
    """Reliability of the whole from that of its halves; NaN if it is too low."""
    whole = 2 * half / (1 + half) if half > 0 else 0.0
    return whole if whole >= MIN_RELIABILITY else np.nan


@dataclass(frozen=True)
class TaskScores:
    """Single epochs on an axis that tells the tasks apart: -1 mean of Task 1, +1 mean of Task 2, in the epochs it was made from.

    Attributes
    ----------
    task_1, task_2 : (n,) float64
        Awake epochs of the tasks that were held out.
    other : (n,) float64
        The epochs asked about, e.g. asleep.
    area : float
        Area under the ROC curve for the epochs held out, Task 2 against Task 1: 1 if single epochs tell the tasks apart, 0.5 if
        not.
    """

    task_1: np.ndarray
    task_2: np.ndarray
    other: np.ndarray
    area: float


def task_scores(task_1: EpochActivity, task_2: EpochActivity, other: EpochActivity) -> TaskScores | None:
    """Whether single epochs belong to one task, or each is a mixture of both.

    Parameters
    ----------
    task_1, task_2 : EpochActivity
        Awake epochs. The axis is made from their earlier halves; the later ones are scored.
    other : EpochActivity

    Returns
    -------
    TaskScores or None
        None if a half of a task has fewer than two epochs with hidden spikes, or all of them are alike.

    Notes
    -----
    The axis is Fisher's linear discriminant of the hidden cells' shares of the epoch's hidden spikes, with the covariance shrunk
    as by Ledoit and Wolf, as there are more cells than epochs. Shares, because sleep and the tasks differ in the number of spikes.
    Epochs without hidden spikes are left out.
    """
    (train_1, test_1), (train_2, test_2) = ([_hidden_shares(half) for half in task.halves] for task in (task_1, task_2))
    if min(map(len, (train_1, test_1, train_2, test_2))) < 2:
        return None
    means = [train_1.mean(axis=0), train_2.mean(axis=0)]
    within = np.concatenate([train_1 - means[0], train_2 - means[1]])
    if not within.any():
        return None
    axis = np.linalg.solve(ledoit_wolf(within, assume_centered=True)[0], means[1] - means[0])
    middle, reach = np.mean(means, axis=0) @ axis, (means[1] - means[0]) @ axis / 2
    if not reach:
        return None
    held_1, held_2, asked = ((shares @ axis - middle) / reach for shares in (test_1, test_2, _hidden_shares(other)))
    label = np.repeat([0, 1], [len(test_1), len(test_2)])
    return TaskScores(held_1, held_2, asked, float(roc_auc_score(label, np.concatenate([held_1, held_2]))))


def _hidden_shares(activity: EpochActivity) -> np.ndarray:
    """Hidden spikes of the epochs that have any, divided by their number."""
    counts = activity.hidden.toarray().astype(float)
    total = counts.sum(axis=1, keepdims=True)
    fired = total[:, 0] > 0
    return counts[fired] / total[fired]
