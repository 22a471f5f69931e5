"""A task of one's own over particles of one's own, learned after Task 1: a script to copy and change.

    python own_task.py FOLDER

The file of a trial is left in the folder, which must be there.
"""

import sys

from foraging_snn import PARTICLES, Particle, Task, Trial, engine_class, preset, protocol, run_trial

corner = Particle("corner", ((0, 0), (1, 0), (1, 1)))
parameters = preset("tiny").with_tasks(Task("T7", rewarded=(corner,), punished=(PARTICLES["vertical"],)))
with engine_class("event")(parameters) as engine:
    experiment = protocol("T1 -> I(S,T7)", parameters)
    run_trial(experiment, parameters, seed=1, engine=engine, path=f"{sys.argv[1]}/own.h5")
for test in Trial(f"{sys.argv[1]}/own.h5").test_results():
    print(f"after {test.after}: {list(parameters.tasks)[test.task - 1]} {test.performance:.2f}")
