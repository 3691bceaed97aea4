"""Writes docs/clients.md to standard output: what the last `make clients` saw, and settings. Runs no client."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "compat" / "clients"))

from page import page

__all__ = ["page"]

if __name__ == "__main__":
    sys.stdout.write(page())
