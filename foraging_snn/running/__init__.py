"""Running trials: plans, one trial, many at a time, stopping and going on, room on disk."""
