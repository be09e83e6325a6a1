"""What a worker measures of itself, and how it tells: metrics, liveness, readiness, and a watchdog."""
