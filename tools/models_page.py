"""Writes docs/models.md from the catalogue of models to standard output. Knows nothing that the catalogue does not say."""

from __future__ import annotations

import sys

from aisa.model_catalogue.classes import CLASSES, ModelClass
from aisa.model_catalogue.models import MODELS
from aisa.model_catalogue.row import ModelRow
from aisa.vendors.table import ROWS

OPENING = """\
# Models

<!-- Made by `make docs` from src/aisa/model_catalogue/. Edit those files, not this page. -->

What is known here of models, and what becomes of a request that asks of one what it does not take. What is not known its vendor judges.

- A parameter that the model does not have is `422 unsupported_parameter`, which names it and the class of models, after the other targets
  were asked. With `unsupported: drop` in the model's entry it is left out, and `x-aisa-dropped-params` in the answer names it, as
  its client calls it.
- A parameter whose value the model cannot take is moved to the nearest that it takes, and `x-aisa-changed-params` says so:
  `temperature=1, reasoning_effort=low`. With `unsupported: refuse_values` that is 422, too.
- `max_tokens` and `max_completion_tokens` are exchanged where a model knows one of them, `developer` becomes `system` where a vendor is not
  known to have that role, and a budget of thinking is an effort where a model has words (up to 1,024 tokens `low`, 8,192 `medium`, more
  `high`) and an effort a budget where it has those. None of this is told, as nothing is lost.
- A `max_tokens` below 1 is no bound, as llama.cpp and others read -1. It passes as it is to vendors of chat completions; where there
  is no such word it is left out and named in `x-aisa-dropped-params`, or `x-aisa-changed-params` names the bound that holds in its
  place (Anthropic must have one). The other APIs know no such bound: from them it is the vendor's to judge that speaks the same, and
  422 before others (but for `max_output_tokens: 0`, which is none).
- A `max_tokens` above the model's output is `422 max_tokens_exceeded`. A prompt that is too long goes only where the window holds it.
- `GET /v1/models` shows all of it: `context_window`, `max_output_tokens`, `input_modalities`, `output_modalities`,
  `supported_parameters`, `unsupported_parameters`, `reasoning_efforts`, `aliases`, `shutdown_date`.
- A configured model within three months of its last day, or beyond it, is told once a day in the log, with what its vendor recommends.

The configuration adds to this, and wins: `context_window`, `max_output_tokens`, `modalities`, `reasoning_efforts`,
`unsupported_parameters`, `shutdown_date` and `aliases` of a model ([configuration](configuration.md)). A deployment of Azure's has its
model by `price_as`. What a vendor refuses of all its models is in [vendors](vendors.md); what Anthropic's, Gemini's, Mistral's and
Cohere's models take, their dialects know.

## Classes of models

| vendor | class | does not have | takes only | words for effort | bound |
|---|---|---|---|---|---|
"""

TABLE = """
## {title}

Source: <{source}>

| model | other names | context | output | takes | gives | last day | instead |
|---|---|---:|---:|---|---|---|---|
"""


def page() -> str:
    """Return the whole page as Markdown."""
    classes = "".join(of_class(vendor, each) for vendor, known in CLASSES.items() if vendor != "azure" for each in known)
    tables = [TABLE.format(title=ROWS[vendor].title, source=rows[0].source) + "".join(map(line, rows)) for vendor, rows in MODELS.items()]
    return OPENING + classes + "".join(tables)


def of_class(vendor: str, each: ModelClass) -> str:
    """Return a class's line."""
    lacks = ", ".join([f"`{name}`" for name in each.lacks])
    only = ", ".join([f"`{name}` {value:g}" for name, value in each.only])
    title = each.title + (" (with effort `none` they take all)" if each.free_at_none else "")
    return f"| {ROWS[vendor].title} | {title} | {lacks} | {only} | {', '.join(each.efforts)} | {each.bound and f'`{each.bound}`'} |\n"


def line(row: ModelRow) -> str:
    """Return a model's line."""
    aliases = ", ".join([f"`{name}`" for name in row.aliases])
    end = row.shutdown.isoformat() if row.shutdown else ""
    sizes = f"{row.context_window or 0:,} | {row.output_tokens_max or 0:,}"
    return f"| `{row.name}` | {aliases} | {sizes} | {', '.join(row.takes)} | {', '.join(row.gives)} | {end} | {row.successor} |\n"


if __name__ == "__main__":
    sys.stdout.write(page())
