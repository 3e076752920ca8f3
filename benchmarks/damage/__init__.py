"""Parts of :mod:`benchmarks.damaged_inputs`: ways to damage files, inputs of every format, and what
reads them independently.
"""
