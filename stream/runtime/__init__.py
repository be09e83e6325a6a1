"""The shell: Faust, Kafka, Redis, settings, logs. Everything that does I/O or reads a clock lives here.

Start at `worker` (what runs), then `lane` (one batch: apply, deliver, acknowledge).
"""
