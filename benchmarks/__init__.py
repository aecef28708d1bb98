"""Benchmarks: the goals of docs/performance.md, measured against floors and peers in one run."""
