"""Parts of :mod:`benchmarks.theory_networks`: data, masks, learners, theory, report."""
