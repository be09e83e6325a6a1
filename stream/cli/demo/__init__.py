"""`stream demo`: the whole system on this machine, at work, and what became of it."""
