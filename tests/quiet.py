"""How models of scvi-tools are trained in tests."""

QUIETLY = {"accelerator": "cpu", "devices": 1, "enable_progress_bar": False, "logger": False, "enable_checkpointing": False}
