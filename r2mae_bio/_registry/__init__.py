"""Files that a registry of this package names: shipped with it, or downloaded and checked."""
