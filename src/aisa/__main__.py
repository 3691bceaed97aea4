"""`python -m aisa` is the command `aisa`. Does nothing itself."""

from __future__ import annotations

from aisa.cli import main

if __name__ == "__main__":
    main()
