"""How much of sleep has to be about Task 1 for it to be remembered: a script to copy and change.

    python sweep_over_a_cue.py FOLDER

With the preset "quick" instead of "tiny" it takes minutes, and something is learned.
"""

import sys

from foraging_snn import Trial, engine_class, preset, protocol, run_trial

parameters = preset("tiny")
with engine_class("event")(parameters) as engine:
    for share in (0.25, 0.5, 0.75):
        experiment, path = protocol(f"T1 -> I(S(T1:{share},T2:{1 - share}),T2)", parameters), f"{sys.argv[1]}/{share}.h5"
        run_trial(experiment, parameters, seed=1, engine=engine, path=path)
        last = Trial(path).test_results()[-2:]
        print(f"{share:.0%} of sleep about Task 1:", *(f"Task {test.task} {test.performance:.2f}" for test in last))
