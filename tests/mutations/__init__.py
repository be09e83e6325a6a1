"""`python -m tests.mutations`: take out one guard after the other, and see that its test fails."""
