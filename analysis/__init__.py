"""Analysis of recorded trials: pure functions from recorded arrays to labelled results."""
