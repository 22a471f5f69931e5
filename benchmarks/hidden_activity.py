"""First 300 aeons of the unsupervised phase beside the authors' program: hidden and output spikes per epoch, in bins of 50 aeons.

    python benchmarks/hidden_activity.py [ENGINE] [REFERENCE.csv]

The columns of the reference are those of `tests/data/hidden_activity.csv`.
"""

import csv
import sys
from pathlib import Path

from foraging_snn.models import Activity, Block, Phase, engine_class, initial_state, preset

REFERENCE = Path(__file__).parent.parent / "tests" / "data" / "hidden_activity.csv"
SEEDS = (1, 2, 3)
AEONS, BIN = 300, 50


def activity(engine: str, seed: int) -> dict[str, list[float]]:
    """Spikes per epoch of both layers in each bin."""
    parameters = preset("full")
    phase = Phase("unsupervised", (Block(Activity.UNSUPERVISED, 100),), parameters.aeons("unsupervised") * 100)
    with engine_class(engine)(parameters) as simulator:
        _, record = simulator.run(initial_state(parameters, seed), phase, epochs=AEONS * 100)
    per_bin = {name: record.counts[f"{name}_spikes"].reshape(-1, BIN).sum(axis=1) / (BIN * 100) for name in ("hidden", "output")}
    return {f"{name} spikes per epoch": list(values) for name, values in per_bin.items()}


def main() -> None:
    """Print the table."""
    engine = sys.argv[1] if len(sys.argv) > 1 else "brian2"
    reference = Path(sys.argv[2]) if len(sys.argv) > 2 else REFERENCE
    ours = [activity(engine, seed) for seed in SEEDS]
    print(f"engine {engine}, preset full, seeds {SEEDS}")
    print(f"{'aeons':8} {'quantity':26} {'program':>8} {'independent (3 seeds)':>26}   ours (3 seeds)")
    with open(reference, newline="") as file:
        for row in csv.DictReader(file):
            index = (int(row["aeons"].split("-")[0]) - 1) // BIN
            others = " ".join(f"{float(row[f'independent_seed{k}']):8.3f}" for k in SEEDS)
            mine = " ".join(f"{result[row['quantity']][index]:8.3f}" for result in ours)
            print(f"{row['aeons']:8} {row['quantity']:26} {float(row['authors_program_seed1']):8.3f} {others}   {mine}")


if __name__ == "__main__":
    main()
