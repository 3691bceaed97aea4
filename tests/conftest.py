"""The fixtures that every test may ask for: running servers, started when the first test wants them. Defines nothing itself."""

from __future__ import annotations

from server import front, server

__all__ = ["front", "server"]
