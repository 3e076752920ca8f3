"""Parts of :mod:`benchmarks.theory.trained_networks`: data, masks, learners, theory, report."""
