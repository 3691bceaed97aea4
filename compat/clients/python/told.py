"""What the Python clients of this folder are told, and how they tell what they saw. Knows no client.

A script hands its functions to `run`, each by the name of what it tries; a line `::{...}` on standard output is what became of one.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import os
import sys
import traceback

URL = os.environ["AISA_BASE_URL"]  # without /v1
KEY = os.environ["AISA_API_KEY"]
MODEL = os.environ.get("AISA_MODEL", "gpt-4.1")
BAD_KEY = "sk-nobody-has-this-key"
HELLO = "Say hello in one sentence."
WEATHER = "What is the weather in Oslo?"
CITY = "Name a city and how many people live there."
CITY_SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "people": {"type": "integer"}},
    "required": ["name", "people"],
    "additionalProperties": False,
}
ARGUMENTS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False}
SEEN_CHARACTERS_MAX = 300
FAILED_CHARACTERS_MAX = 2000


def get_weather(city: str) -> str:
    """Get the current weather of a city.

    Args:
        city: The name of the city.
    """
    return f"It is cold in {city}."


def run(*functions):
    """Try each function; one called bad_key must raise, the others must return something."""
    for function in functions:
        name = function.__name__
        try:
            seen = function()
            if inspect.iscoroutine(seen):
                seen = asyncio.run(seen)
            failed = f"nobody was told that the key is bad: {seen}" if name == "bad_key" else "" if seen else f"it returned {seen!r}"
        except BaseException as error:  # noqa: BLE001 - some clients leave by SystemExit
            if name == "bad_key" and not isinstance(error, KeyboardInterrupt):
                seen, failed = f"{type(error).__name__}: {error}", ""
            else:
                seen, failed = "", traceback.format_exc()[-FAILED_CHARACTERS_MAX:]
        print("::" + json.dumps({"does": name, "seen": str(seen)[:SEEN_CHARACTERS_MAX], "failed": failed}), flush=True)
    sys.stdout.flush()
    os._exit(0)  # some clients leave threads behind that never end
