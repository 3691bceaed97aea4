"""Writes docs/errors.md from the tables of codes and of blame to standard output. Knows nothing that the tables do not say."""

from __future__ import annotations

import sys

from aisa.errors import CODES, MEANING
from aisa.providers.blame_table import ROWS, Row, Verdict

OPENING = """\
# Errors

<!-- Made by `make docs` from src/aisa/errors.py and src/aisa/providers/blame_table.py. Edit those files, not this page. -->

Every failure has one shape, whatever failed and wherever:

```json
{
  "error": {
    "type": "invalid_request_error",
    "code": "unknown_model",
    "message": "The model 'gpt-9' does not exist here. GET /v1/models lists the models of this server.",
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
  Clients that do not read it have an answer without a reason why it ended: langchaingo for Go gives it out, with `StopReason` empty
  (`findings/langchaingo-hears-no-failure.sh`).
- `Retry-After` (whole seconds, 1 to 60) says when another try makes sense; `x-should-retry: false` says that none does.
  OpenAI's own clients obey both.
- No message contains a key, a prompt or a vendor's address.

| status | code | type | what happened and what to do |
|---|---|---|---|
"""


BLAME = """
## When a vendor refuses

Whose fault it is, a table decides: first by the vendor's codes and words, and by its status only where those say nothing. The first
row that fits counts.

- The operator's fault (our key, credit, model or address with the vendor) is never told as the caller's. It is logged loudly, and the
  next target is asked.
- The caller's fault is told to him in the vendor's own words, without hosts, keys, accounts, files and traces, and is logged as his.
  Refused content is never sent to another vendor. What only one target lacks is asked of the next; if none is left, the first
  vendor's words are told. A prompt that is too long is sent only to targets whose `context_window` is known to hold it.
- The vendor's own failures are answered by the next target.
- A model that the caller named himself, as `vendor/model`, and that the vendor does not know, is the caller's `unknown_model`; a name
  that the configuration wrote is the operator's to mend.
- A code of an empty account with a wait of at most an hour beside it is a rate limit. A request that is larger than a whole rate limit
  carries `x-should-retry: false`.
- The wait is read from `Retry-After` in seconds, fractions or as a date, `retry-after-ms`, the body (`retryDelay`, "try again in 20s"),
  or else `x-ratelimit-reset*`.

| refusal | whose fault | the caller gets | next target | recognised by |
|---|---|---|---|---|
"""
CODES_SHOWN_MAX = 4  # of a row; the table has them all


def page() -> str:
    """Return the whole page as Markdown: codes ordered by status and then as in the table, refusals as in the table of blame."""
    rows = sorted((status, number, code, kind) for number, (code, (status, kind)) in enumerate(CODES.items()))
    codes = "".join(f"| {status} | `{code}` | `{kind}` | {MEANING[code]} |\n" for status, _, code, kind in rows)
    verdicts = dict.fromkeys(row.verdict for row in ROWS)
    return OPENING + codes + BLAME + "".join(line(verdict, [row for row in ROWS if row.verdict is verdict]) for verdict in verdicts)


def line(verdict: Verdict, rows: list[Row]) -> str:
    """Return the line of one verdict."""
    signs = [", ".join(f"`{code}`" for code in row.named[:CODES_SHOWN_MAX]) for row in rows if row.named and row.vendor is None]
    signs += ["words"] if any(row.words for row in rows) else []
    numbers = sorted(status for row in rows if row.statuses and not row.words for status in row.statuses)
    signs += [f"status {', '.join(map(str, numbers))}"] if numbers else []
    told = f"{CODES[verdict.code][0]} `{verdict.code}`"
    return f"| {verdict.name} | {verdict.blame} | {told} | {verdict.others} | {'; '.join(signs) or 'anything else'} |\n"


if __name__ == "__main__":
    sys.stdout.write(page())
