"""Where proposals come from besides the engine's own rows: one interface, one way a file.

Start at `source.py`; the names are in `registry.py`.
"""
