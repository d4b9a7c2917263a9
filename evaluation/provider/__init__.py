"""The old name of `evaluation.standin`; goes with the next release."""
