"""Writes docs/vendors.md from the table of vendors to standard output. Knows nothing that the table does not say."""

from __future__ import annotations

import sys

from aisa.config.detect import SPOKEN
from aisa.providers.model_facts import NEWER_BOUND, OLDER_BOUND
from aisa.vendors.row import VARIABLE, Row
from aisa.vendors.table import ROWS

OPENING = """\
# Vendors

<!-- Made by `make docs` from src/aisa/vendors/. Edit those files, not this page. -->

A vendor needs no configuration if its key is in the environment, or if it is a server of models that answers on this machine:

```sh
GROQ_API_KEY=... aisa serve        # then call `groq/MODEL`
aisa vendors                       # which vendors are used, and what the others lack; --check asks them
```

- In the file it is enough to name one, `groq: {}` under `vendors`. What the entry does not say comes from the row below: address, dialect,
  where the key goes, and the key from the environment. Another name for it, or a second account: `spare: {preset: groq, api_key: ...}`.
- An entry with a `base_url` of its own takes nothing from a row but what the vendor is like, and that only if its host is the vendor's, if
  a server's word (`vllm`) is in its name or host, or if `preset` says so. A key from the environment never goes to another address.
- A key without the rest (Azure's address, AWS's region) makes no vendor: the start, `aisa config check` and `aisa init` say what is
  missing. An entry without a key, for a vendor that takes no call without one, is refused.
- Vendors marked *to be named* are not used because their variable is there: it serves other things as well, and is no wish to send prompts.
- Servers on this machine are looked for at the start and at a reload, where the file has no entry under `vendors` or `discovery.loopback`
  is `always`: each port below is asked once, and counts only if the answer is that server's own. `discovery` turns all of it off.
- `AISA_DISCOVERY_LOOPBACK` in the environment is `discovery.loopback`.
- Keys of other regions belong to other addresses, which the last column has: put such a one into its variable, or give it as `base_url`
  with the key; what the vendor is like still comes from its row.
- Google Cloud, AWS and Azure prove requests by other credentials as well: [reaching-vendors](reaching-vendors.md#credentials) and
  [bedrock](bedrock.md). What becomes of a chat in another protocol: [anthropic](anthropic.md), [gemini](gemini.md), [cohere](cohere.md),
  [mistral](mistral.md),
  [responses](responses.md). Models by vendor, with what they do not take: [models](models.md).

"""

HEAD = """\
| `vendors.<name>` | vendor | speaks | address | key in the environment | another address by, or at |
|---|---|---|---|---|---|
"""

FACTS = """
## What they are like

*Refused* are parameters of a request that the vendor answers with an error whatever the model; *without effect* those that it ignores in
silence. *Sent otherwise* is what of a request is written in another way there than it came. *Counted* is where a stream's usage report
comes; where there is none, tokens are counted here ([billing](billing.md)). *Given up* is what a stream costs from the moment at which its
client has left: where the vendor bills on, `on_disconnect: drain` reads to the end, so that the ledger knows what the vendor will charge.
Facts without a source are not stated.

| vendor | refused | without effect | sent otherwise | counted | given up | sources |
|---|---|---|---|---|---|---|
"""

ENDING = """
## To add one

A vendor is a row: a `Row` in `src/aisa/vendors/labs.py` (who makes models), `hosts.py` (who serves those of others) or `servers.py`
(what people run themselves), with the address of the page that says so as its source. Nothing else knows vendors by name: the row is
found in the environment, by `aisa vendors` and here. `make docs` writes this page, and `tests/test_vendors.py` holds every row to its
rules. A row whose dialect is not built in waits: it counts from the moment at which `vendors.<name>.dialect` in
`src/aisa/config/schema.py` has the dialect's name.
"""


def page() -> str:
    """Return the whole page as Markdown, in the table's order."""
    return OPENING + HEAD + "".join(map(where, ROWS.values())) + FACTS + "".join(map(facts, ROWS.values())) + ENDING


def where(row: Row) -> str:
    """Return a vendor's line in the first table."""
    keys = " or ".join([f"`{name}`" for name in row.key_variables])
    if row.proved_by == "google":
        keys = "a Google credential"
    if row.key_as:
        keys += f", sent as `{row.key_as}`"
    marks = []
    if row.named_only:
        marks.append("to be named")
    if row.retired:
        marks.append(f"shut down on {row.retired}")
    if row.dialect not in SPOKEN:
        marks.append("waits for its dialect")
    title = row.title + (f" (*{', '.join(marks)}*)" if marks else "")
    address = VARIABLE.sub(lambda found: "${" + found[1].partition("|")[0] + "}", row.base_url)
    other = f"`{row.base_url_variable}`" if row.base_url_variable else ""
    other += "".join(f", `{place}`" for place in row.elsewhere)
    return f"| `{row.name}` | {title} | `{row.dialect}` | `{address}` | {keys or 'none'} | {other} |\n"


def facts(row: Row) -> str:
    """Return a vendor's line in the second table."""
    refused, ignored = (", ".join([f"`{name}`" for name in names]) for names in (row.refuses, row.ignores))
    sources = ", ".join([f"<{source}>" if source.startswith("https:") else source for source in row.sources])
    given_up = {"stops": "costs nothing more"}.get(row.cancel, row.cancel)
    return f"| {row.title} | {refused} | {ignored} | {otherwise(row)} | {row.counts} | {given_up} | {sources} ({row.seen}) |\n"


def otherwise(row: Row) -> str:
    """Return what of a chat is written in another way for a vendor that speaks as OpenAI does."""
    if row.dialect != "openai":
        return f"in the words of `{row.dialect}`"
    said = [] if row.developer else ["`developer` as `system`"]
    if NEWER_BOUND in (*row.ignores, *row.refuses):
        said.append(f"`{NEWER_BOUND}` as `{OLDER_BOUND}`")
    if row.pages_if_asked:
        said.append("`search_result: true` with each `web_search`")
    if row.thinking_back:
        said.append("`reasoning_content` with every call in the history, if only an empty one")
    if row.tools_only:
        said.append("`functions` as `tools`, and their calls back")
    return ", ".join(said)


if __name__ == "__main__":
    sys.stdout.write(page())
