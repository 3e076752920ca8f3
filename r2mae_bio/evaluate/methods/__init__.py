"""What is compared: our models, scVI, and the controls that have to be beaten."""

from __future__ import annotations
