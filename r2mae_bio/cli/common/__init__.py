"""What commands share: options, files in, files out, and what is seen of a run."""
