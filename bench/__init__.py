"""The performance figures of docs/benchmarks.md: ``python -m bench``."""
