"""The old name of `evaluation.standin`; will be removed in the next release."""
