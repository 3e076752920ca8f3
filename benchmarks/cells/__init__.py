"""Benchmarks on cells."""
