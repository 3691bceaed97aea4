"""Writes docs/errors.md from the table in aisa.errors to standard output. Knows nothing that the table does not say."""

from __future__ import annotations

import sys

from aisa.errors import CODES, MEANING

OPENING = """\
# Errors

<!-- Made by `make docs` from src/aisa/errors.py. Edit that file, not this page. -->

Every failure has one shape, whatever failed and wherever:

```json
{
  "error": {
    "type": "invalid_request_error",
    "code": "unknown_model",
    "message": "There is no model `gpt-9` here. `GET /v1/models` lists what there is.",
    "param": "model",
    "request_id": "req_01JABCD9F1YYEXAMPLE0000000"
  }
}
```

- `code` is for programs and never changes its meaning. `message` is for people and may be reworded.
- `param` names the request field at fault, or is `null`.
- `request_id` is also in the `x-request-id` header of every response, good or bad. Quote it when you report something.
- A failure before the first piece of an answer has its true HTTP status and this JSON body, for streams too.
- A failure after that is one event, `data: {"error": {...}}`, with the same fields. Nothing follows it, not even `[DONE]`.
- `Retry-After` (whole seconds, 1 to 60) says when another try makes sense; `x-should-retry: false` says that none does.
  OpenAI's own clients obey both.
- No message contains a key, a prompt or a vendor's address.

| status | code | type | what happened and what to do |
|---|---|---|---|
"""


def page() -> str:
    """Return the whole page as Markdown, its rows ordered by status and then as in the table."""
    rows = sorted((status, number, code, kind) for number, (code, (status, kind)) in enumerate(CODES.items()))
    return OPENING + "".join(f"| {status} | `{code}` | `{kind}` | {MEANING[code]} |\n" for status, _, code, kind in rows)


if __name__ == "__main__":
    sys.stdout.write(page())
