"""Benchmarks: figures that inform, never gates. See README.md in this folder for the commands."""
