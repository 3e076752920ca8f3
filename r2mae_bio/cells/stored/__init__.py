"""What is computed of cells in files, and how it gets into files."""
