"""Writes docs/clients.md from the console's table of clients to standard output. Knows no client that the table does not have."""

from __future__ import annotations

import sys

from aisa.console.clients import clients_for

OPENING = """\
# Clients

<!-- Made by `make docs` from src/aisa/console/clients.py. Edit that file, not this page. -->

What popular clients want to be told, for a server at `http://127.0.0.1:8000` and the model `gpt-4.1`. The console's page "Set up clients"
has the same with your server's address and a model that it has. `AISA_API_KEY` is a key of the server: `aisa keys create LABEL` makes one
for each client, so that each has its own cap and its own line in the bills.

Every other client that lets you set its address works too: with `/v1` where it speaks OpenAI's API, without where it speaks Anthropic's or
Gemini's. [Clients that were tried](tested-clients.md) has some fifty with their versions, and what was seen of each.
"""
LANGUAGES = {"Shell": "sh", "Python": "python", "JavaScript": "js", "Environment": "sh"}
ENDINGS = {"toml": "toml", "yaml": "yaml", "json": "json"}


def page() -> str:
    """Return the page."""
    parts = [OPENING]
    for kind, clients in clients_for("http://127.0.0.1:8000", "gpt-4.1").items():
        parts.append(f"\n## {kind}\n")
        for client in clients:
            parts.append(f"\n### {client.name}\n\nSpeaks `{client.door}`.{f' {client.note}' if client.note else ''}\n")
            for setting in client.settings:
                language = LANGUAGES.get(setting.where) or ENDINGS.get(setting.where.rpartition(".")[2], "text")
                parts.append(f"\n{setting.where}:\n\n```{language}\n{setting.text}\n```\n")
    return "".join(parts)


if __name__ == "__main__":
    sys.stdout.write(page())
