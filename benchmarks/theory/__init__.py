"""Benchmarks of the linear theory."""
