"""A key for a name that nothing serves is made, as the name may come later, and whoever makes it is told."""

from __future__ import annotations

from pathlib import Path

from server import serving


def test_a_name_that_nothing_serves_is_told_and_no_example_calls_it(tmp_path: Path) -> None:
    """A warning and no refusal; the example calls a name that is served, and there is none where no name is."""
    with serving(tmp_path, "vendors: {v: {base_url: 'http://127.0.0.1:9/v1'}}\nmodels_only: true\nmodels: {good: [v/m]}\n") as server:
        mixed = server.aisa("keys", "create", "mixed", "--models", "typo,good")
        none = server.aisa("keys", "create", "none", "--models", "typo")
        whole = server.aisa("keys", "create", "whole", "--models", "good")
    assert ("Nothing serves typo now" in mixed, '"model":"good"' in mixed) == (True, True)
    assert ("Nothing serves typo now" in none, "Try it" in none, "sk-aisa-" in none) == (True, False, True)
    assert ("Nothing serves" in whole, '"model":"good"' in whole) == (False, True)
