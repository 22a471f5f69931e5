"""Files: HDF5 with care, trials, states, where results come from."""
