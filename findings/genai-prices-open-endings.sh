#!/usr/bin/env bash
# genai-prices 0.2.3 prices models that it does not list: by the beginning of a name, by a part of it, and from another vendor's list.
#
# Seen (dollars per million tokens, input / output):
#   deepseek, deepseek-v4-pro-max     taken for deepseek-v4-pro: any ending fits
#   azure, acme-o4-mini               taken for o4-mini, 1.1 / 4.4: a rule looks inside the name; at openai the same name is unknown
#   azure, DeepSeek-R1                taken for another vendor's deepseek-reasoner, 0.55 / 2.19, and says that the provider is azure
#   mistral, mistral-large-latest     2 / 6, while mistral-large-2512, which answers to that name, is 0.5 / 1.5
#   x-ai, grok-code-fast-1            0.2 / 1.5, while xAI has served it by grok-4.3, 1.25 / 2.5 (twice that for long texts), since 15 May
#                                     2026 and charges that: its name goes on, so nothing fails; grok-3, now the same, is 3 / 15
#                                     (docs.x.ai/developers/migration/may-15-retirement)
#
# Good for a dashboard; a bill needs to know by which rule a price was found.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check genai-prices==0.2.3
"$folder/venv/bin/python" - <<'PYTHON'
from decimal import Decimal

from genai_prices import Usage, __version__, calc_price

million = Usage(input_tokens=1_000_000, output_tokens=1_000_000)


def priced(provider, model):
    try:
        found = calc_price(million, model_ref=model, provider_id=provider)
    except LookupError:
        return None
    return found.provider.id, found.model.id, found.input_price, found.output_price


print("genai-prices", __version__)
rows = {
    ("azure", "acme-o4-mini"): ("azure", "o4-mini", Decimal("1.1"), Decimal("4.4")),
    ("openai", "acme-o4-mini"): None,
    ("azure", "DeepSeek-R1"): ("azure", "deepseek-reasoner", Decimal("0.55"), Decimal("2.19")),
    ("mistral", "mistral-large-latest"): ("mistral", "mistral-large", Decimal(2), Decimal(6)),
    ("mistral", "mistral-large-2512"): ("mistral", "mistral-large-2512", Decimal("0.5"), Decimal("1.5")),
    ("x-ai", "grok-code-fast-1"): ("x-ai", "grok-code-fast-1", Decimal("0.2"), Decimal("1.5")),
    ("x-ai", "grok-3"): ("x-ai", "grok-3", Decimal(3), Decimal(15)),
    ("x-ai", "grok-4.3"): ("x-ai", "grok-4.3", Decimal("2.5"), Decimal(5)),
}
for (provider, model), right in rows.items():
    seen = priced(provider, model)
    print(f"{provider:9} {model:22} {seen}")
    assert seen == right, f"this has changed: {provider} {model}"
ending = priced("deepseek", "deepseek-v4-pro-max")  # its price follows the hour of the day
print(f"{'deepseek':9} {'deepseek-v4-pro-max':22} {ending}")
assert ending is not None, "this has changed: the open ending"
assert ending[1] == "deepseek-v4-pro", "this has changed: the open ending"
PYTHON
