"""The contenders this project is measured beside; each module runs as a process of its own.

All but `bare_aiokafka` do the reference job of `job.py` and publish its list for every event.
Each reads its whole input topic from a fresh group and reports through `clock.Clock`; the parent process
starts it, waits for its report and for its last list, and stops it.
"""
