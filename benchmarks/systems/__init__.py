"""Five systems, one method: what a random mask ratio does in a linear model, in vision, language,
DNA and cells. ``python -m benchmarks.systems`` runs them and writes one table and one figure.
"""
