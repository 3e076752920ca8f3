"""Benchmarks on sequences."""
