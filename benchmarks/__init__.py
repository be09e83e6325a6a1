"""Throughput of one `stream` worker beside what one would write instead: see `benchmarks.throughput`."""
