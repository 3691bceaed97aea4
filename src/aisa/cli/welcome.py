"""What the operator sees when a server starts: where it listens, who answers, the first key, and a command to paste. Starts nothing."""

from __future__ import annotations

from aisa import __version__
from aisa.config.schema import Config
from aisa.routing import TINY


def bracketed(host: str) -> str:
    """Write a host as URLs want it; an address that means all of them becomes one that works."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - only compared
    return f"[{host}]" if ":" in host else host


WELCOME = """
  aisa {version}   {url}
{served}{key}
  Try it:

curl {url}/v1/chat/completions \\
  -H "Authorization: Bearer {secret}" \\
  -H "Content-Type: application/json" \\
  -N \\
  -d '{{
    "model": "{model}",
    "messages": [{{"role": "user", "content": "Write a haiku about APIs."}}],
    "stream": true
  }}'

  Stop with Ctrl-C.  More keys: aisa keys create LABEL
"""

EMBEDDED_NOTICE = """
  No vendor is configured, so the EMBEDDED model answers, under every name. It is a tiny
  statistical model for trying things out offline: it follows the protocol, not the question.
  For real answers set OPENAI_API_KEY, or write aisa.yaml (see docs/configuration.md).
"""


def welcome(config: Config, url: str, first_key: str | None, *, keys_count: int) -> str:
    """Return what the operator sees at the start: where, who answers, the first key, and a command to paste."""
    names = [name for name in config.models if name != TINY]
    if config.vendors:
        served = f"\n  Vendors: {', '.join(config.vendors)}.  Models: {', '.join(names) or 'vendor/model'}.\n"
    else:
        served = EMBEDDED_NOTICE
    if first_key:
        key = f"\n  Your first key, shown only this once:\n\n    {first_key}\n"
    else:
        key = f"\n  Keys: {keys_count} known.  aisa keys list\n"
    model = names[0] if names else f"{next(iter(config.vendors))}/MODEL" if config.vendors else "gpt-5"
    return WELCOME.format(version=__version__, url=url, served=served, key=key, secret=first_key or "$AISA_API_KEY", model=model)
