"""What the operator reads when the server has started: where it is, who answers, the first key, a command to paste. Starts nothing."""

from __future__ import annotations

import shlex

import msgspec

from aisa import __version__
from aisa.config.schema import Config
from aisa.routing import TINY

EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - only compared

NAMES_MAX = 8  # models of the configuration that are named at the start; `aisa models` lists all


def bracketed(host: str) -> str:
    """Write a host as URLs want it; an address that means all of them becomes one that works."""
    host = EVERYWHERE.get(host, host)
    return f"[{host}]" if ":" in host else host


class Opening(msgspec.Struct, frozen=True):
    """What a server started with. `first_key` is the secret of a key that was just made, or `key_file` the file that it was written to.

    `data_dir` is a whole path. `model` is a name that can be called now, None if none is known. `console` is where its pages are, None if
    they are off; `console_once` says that this address signs in once. `elsewhere` is where other machines reach it, None if they do not.
    """

    url: str
    data_dir: str
    keys_count: int
    model: str | None
    first_key: str | None = None
    key_file: str | None = None
    console: str | None = None
    console_once: bool = False
    elsewhere: str | None = None


WELCOME = """
  aisa {version}   {url}{elsewhere}
  Data: {data_dir}
{console}{served}{key}
  Try it:

{example}

  Stop with Ctrl-C.  More keys: aisa keys create LABEL
"""

CALL = """\
curl {url}/v1/chat/completions \\{insecure}
  -H "Authorization: Bearer {secret}" \\
  -H "Content-Type: application/json" \\
  -N \\
  -d '{{
    "model": {model},
    "messages": [{{"role": "user", "content": "Write a haiku about APIs."}}],
    "stream": true
  }}'"""

LIST = """\
curl {url}/v1/models \\{insecure}
  -H "Authorization: Bearer {secret}" -w '\\n'"""

ONCE = "\n           (this address signs you in once, within ten minutes)"
WITH_KEY = "\n           (sign in with an admin key: aisa admin-keys create ME --scope write)"
ELSEWHERE = "\n  For other machines: {elsewhere}{clear}"
IN_THE_CLEAR = "\n  Keys and answers cross the network readable: set `tls`, or have a proxy end TLS (docs/proxies.md)."
INSECURE = "\n  --insecure \\"  # the certificate need not name the address that is printed
#: With the folder, as several servers may run on the machine when it is pasted.
MAKE_KEY = 'export AISA_API_KEY=$(aisa keys create "try $(date +%s)" --expires 1d --quiet --data-dir {data_dir})\n'

EMBEDDED_NOTICE = """
  No vendor is configured, so the EMBEDDED model answers, under every name. It is a tiny
  statistical model for trying things out offline: it follows the protocol, not the question.
  For real answers set OPENAI_API_KEY, or write aisa.yaml: aisa init
"""


def welcome(config: Config, opening: Opening) -> str:
    """Return what the operator sees at the start: where, who answers, the first key, and a command to paste."""
    if config.vendors:
        named = [name for name in config.models if name != TINY]
        models = ", ".join(named[:NAMES_MAX]) + (f", {len(named) - NAMES_MAX} more" if len(named) > NAMES_MAX else "")
        more = "" if config.models_only else " and any of theirs: aisa models" if models else "any of theirs: aisa models"
        served = f"\n  Vendors: {', '.join(config.vendors)}.  Models: {models}{more}\n"
    else:
        served = EMBEDDED_NOTICE
    if opening.first_key:
        key = f"\n  Your first key, shown only this once:\n\n    {opening.first_key}\n"
    elif opening.key_file:
        key = f"\n  Your first key is in {opening.key_file}: take it, and remove the file.\n"
    else:
        key = f"\n  Keys: {opening.keys_count} known.  aisa keys list\n"
    console = "" if opening.console is None else f"  Console: {opening.console}{ONCE if opening.console_once else WITH_KEY}\n"
    clear = IN_THE_CLEAR if config.tls is None else ""
    elsewhere = "" if opening.elsewhere is None else ELSEWHERE.format(elsewhere=opening.elsewhere, clear=clear)
    return WELCOME.format(
        version=__version__,
        url=opening.url,
        elsewhere=elsewhere,
        data_dir=opening.data_dir,
        console=console,
        served=served,
        key=key,
        example=example(config, opening),
    )


def example(config: Config, opening: Opening) -> str:
    """Return a command to paste into a shell, which works as it stands."""
    secret = opening.first_key or (f"$(cat '{opening.key_file}')" if opening.key_file else "$AISA_API_KEY")
    text = LIST if opening.model is None else CALL
    model = msgspec.json.encode(opening.model or "").decode().replace("'", "'\\''")
    call = text.format(url=opening.url, insecure="" if config.tls is None else INSECURE, secret=secret, model=model)
    return call if opening.first_key or opening.key_file else MAKE_KEY.format(data_dir=shlex.quote(opening.data_dir)) + call
