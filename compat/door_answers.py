"""Prints, as JSON, what each door answers to vendors' legal sequences, and what its client must have of it. See sequences.test.mjs."""

from __future__ import annotations

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))  # the sequences are those of the Python tests

from sequences import CELLS, answered, due

if __name__ == "__main__":
    json.dump([{"cell": cell, "body": answered(*cell).body.decode(), "due": due(*cell)._asdict()} for cell in CELLS], sys.stdout)
