"""A protocol of one's own, and going on from a state within it: a script to copy and change.

    python own_protocol.py FOLDER

Two files of trials are left in the folder, which must be there.
"""

import sys

from foraging_snn import Trial, engine_class, preset, protocol, run_trial

folder, parameters = sys.argv[1], preset("tiny")
with engine_class("event")(parameters) as engine:
    learned = protocol("T1 -> T2[4]{reward.punished=-0.5} -> T1", parameters)
    run_trial(learned, parameters, seed=1, engine=engine, path=f"{folder}/learned.h5")
    start = Trial(f"{folder}/learned.h5").state_at("T2")
    slept = protocol("I(S,T1,T2)", parameters)
    run_trial(slept, parameters, seed=1, engine=engine, path=f"{folder}/slept.h5", start=start)
for test in (*Trial(f"{folder}/learned.h5").test_results(), *Trial(f"{folder}/slept.h5").test_results()):
    print(f"after {test.after}: Task {test.task} {test.performance:.2f}")
