"""Demo and tutorials."""
