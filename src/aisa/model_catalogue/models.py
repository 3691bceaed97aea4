"""The models of vendors that make some, by vendor. Data only; sizes and days as read on 2026-11-28.

Each table's page is the vendor's own; its figures were taken from the list that LiteLLM 1.110.2 carries, which names that page.
"""

from __future__ import annotations

from types import MappingProxyType

from aisa.model_catalogue.row import ModelRow, rows_of

OPENAI = """
gpt-4o gpt-4o-2024-08-06 gpt-4o-2024-11-20 | 128000 | 16384 | tif | 2027-01-14 | gpt-6-luna
gpt-4o-mini gpt-4o-mini-2024-07-18 | 128000 | 16384 | tif | 2027-01-14 | gpt-6-luna
gpt-4.1 gpt-4.1-2025-04-14 | 1047576 | 32768 | tif | 2027-01-14 | gpt-6-luna
gpt-4.1-mini gpt-4.1-mini-2025-04-14 | 1047576 | 32768 | tif | 2027-01-14 | gpt-6-luna
gpt-audio gpt-audio-2025-08-28 | 128000 | 16384 | ta>ta | 2027-01-20 | gpt-audio-1.5
gpt-audio-mini gpt-audio-mini-2025-12-15 | 128000 | 16384 | ta>ta | 2027-01-20 | gpt-audio-1.5
gpt-audio-1.5 | 128000 | 16384 | ta>ta
o3 o3-2025-04-16 | 200000 | 100000 | tif | 2026-12-11 | gpt-5.6-sol
o3-pro o3-pro-2025-06-10 | 200000 | 100000 | tif | 2026-12-11 | gpt-5.6-sol
gpt-5 gpt-5-2025-08-07 | 400000 | 128000 | tif | 2026-12-11 | gpt-6.1-sol
gpt-5-mini gpt-5-mini-2025-08-07 | 400000 | 128000 | tif | 2026-12-11 | gpt-6.1-terra
gpt-5-nano gpt-5-nano-2025-08-07 | 400000 | 128000 | tif | 2026-12-11 | gpt-5.6-luna
gpt-5-pro gpt-5-pro-2025-10-06 | 400000 | 272000 | tif | 2026-12-11 | gpt-5.6-sol
gpt-5.1 gpt-5.1-2025-11-13 | 400000 | 128000 | tif | 2027-04-01 | gpt-6-sol
gpt-5.2 gpt-5.2-2025-12-11 | 400000 | 128000 | tif
gpt-5.2-pro gpt-5.2-pro-2025-12-11 | 400000 | 128000 | tif
gpt-5.3-codex | 400000 | 128000 | tif | 2027-04-01 | gpt-6-sol
gpt-5.4 gpt-5.4-2026-03-05 | 1050000 | 128000 | tif
gpt-5.4-mini gpt-5.4-mini-2026-03-17 | 400000 | 128000 | tif
gpt-5.4-nano gpt-5.4-nano-2026-03-17 | 400000 | 128000 | tif | 2027-04-01 | gpt-6-luna
gpt-5.4-pro gpt-5.4-pro-2026-03-05 | 1050000 | 128000 | tif
gpt-5.5 gpt-5.5-2026-04-23 | 1050000 | 128000 | tif
gpt-5.5-pro gpt-5.5-pro-2026-04-23 | 1050000 | 128000 | tif
gpt-5.6 | 1050000 | 128000 | tif
gpt-5.6-sol | 1050000 | 128000 | tif
gpt-5.6-terra | 1050000 | 128000 | tif
gpt-5.6-luna | 1050000 | 128000 | tif
gpt-6-astra | 1050000 | 128000 | tif
gpt-6-sol | 1050000 | 128000 | tif
gpt-6-luna | 1050000 | 128000 | tif
gpt-6.1-sol | 1050000 | 128000 | tif
gpt-6.1-terra | 1050000 | 128000 | tif
"""

ANTHROPIC = """
claude-opus-4-5 claude-opus-4-5-20251101 | 200000 | 64000 | tif
claude-sonnet-4-5 claude-sonnet-4-5-20250929 | 200000 | 64000 | tif | 2026-11-30 | claude-sonnet-5-5
claude-haiku-4-5 claude-haiku-4-5-20251001 | 200000 | 64000 | tif
claude-opus-4-6 claude-opus-4-6-20260205 | 1000000 | 128000 | tif
claude-sonnet-4-6 | 1000000 | 128000 | tif
claude-opus-4-7 claude-opus-4-7-20260416 | 1000000 | 128000 | tif
claude-opus-4-8 | 1000000 | 128000 | tif
claude-opus-5 | 1000000 | 128000 | tif
claude-sonnet-5 | 1000000 | 128000 | tif
claude-fable-5 | 1000000 | 128000 | tif
claude-mythos-5 | 1000000 | 128000 | tif
claude-fable-5-1 | 1000000 | 128000 | tif
claude-mythos-5-1 | 1000000 | 128000 | tif
claude-fable-5-2 | 1000000 | 128000 | tif
claude-mythos-5-2 | 1000000 | 128000 | tif
claude-opus-5-5 | 1000000 | 128000 | tif
claude-sonnet-5-5 | 1000000 | 128000 | tif
claude-haiku-5-5 | 1000000 | 128000 | tif
"""

GOOGLE = """
gemini-2.5-flash | 1048576 | 65536 | tiavf | 2026-12-01 | gemini-3.5-flash-lite
gemini-2.5-flash-lite | 1048576 | 65536 | tiavf
gemini-2.5-pro | 1048576 | 65536 | tiavf | 2026-12-01 | gemini-3.8-flash
gemini-3.1-flash-lite | 1048576 | 65536 | tiavf | 2027-05-07 | gemini-3.5-flash-lite
gemini-3.1-pro-preview | 1048576 | 65536 | tiavf
gemini-3.5-flash | 1048576 | 65536 | tiavf
gemini-3.5-flash-lite | 1048576 | 65536 | tiavf
gemini-3.6-flash | 1048576 | 65536 | tiavf
gemini-3.7-flash | 1048576 | 65536 | tiavf
gemini-3.8-flash | 1048576 | 65536 | tiavf
gemma-4-31b-it | 262144 | 32768 | ti
"""

MISTRAL = """
mistral-large-2512 mistral-large-3 | 262144 | 262144 | ti | 2027-04-30
mistral-large-4 mistral-large-4-0 | 1048576 | 1048576 | ti
mistral-medium-2604 mistral-medium-3.5 mistral-medium-3-5 | 262144 | 262144 | ti | 2027-04-30
mistral-small-2603 | 262144 | 262144 | ti
ministral-14b-2512 | 262144 | 262144 | ti
ministral-8b-2512 | 262144 | 262144 | ti
ministral-3b-2512 | 131072 | 131072 | ti
codestral-2508 | 128000 | 128000 | t
voxtral-small-2507 | 32768 | 32768 | ta
"""

COHERE = """
command-a-plus-05-2026 | 128000 | 64000 | ti
command-r7b-12-2024 | 128000 | 4096 | t
"""

DEEPSEEK = """
deepseek-v4-flash deepseek-flash | 1000000 | 393216 | ti
deepseek-v4-pro | 1000000 | 393216 | t
"""

XAI = """
grok-4.3 | 1000000 | 1000000 | ti
grok-4.5 | 500000 | 500000 | ti
grok-4.6 | 500000 | 500000 | ti
grok-4.7 | 500000 | 500000 | ti
"""

#: A vendor's name in `aisa.vendors` -> its models.
MODELS: MappingProxyType[str, tuple[ModelRow, ...]] = MappingProxyType(
    {
        "openai": rows_of(OPENAI, "https://developers.openai.com/api/docs/deprecations"),
        "anthropic": rows_of(ANTHROPIC, "https://platform.claude.com/docs/en/about-claude/models/overview"),
        "google": rows_of(GOOGLE, "https://ai.google.dev/gemini-api/docs/deprecations"),
        "mistral": rows_of(MISTRAL, "https://docs.mistral.ai/models"),
        "cohere": rows_of(COHERE, "https://docs.cohere.com/docs/models"),
        "deepseek": rows_of(DEEPSEEK, "https://api-docs.deepseek.com/quick_start/pricing"),
        "xai": rows_of(XAI, "https://docs.x.ai/docs/models"),
    }
)
