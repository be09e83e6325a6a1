"""How good lists are, measured on a log: test, then learn."""
