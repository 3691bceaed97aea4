"""What every dialect must have a case of in its folder of the corpus: the rows of the mapping between vendors and clients. Not a test.

A name is that of a case's folder. What a dialect cannot have stands in NOT_THERE, with the reason. `test_dialect_corpus.py` holds both.
"""

from __future__ import annotations

#: What happens with every vendor, streamed or not.
EVERYWHERE = (
    "text",
    "text-document",
    "one-tool-call",
    "parallel-tool-calls",
    "tool-call-document",
    "tool-call-without-arguments",
    "legacy-function-call",
    "thinking-and-text",
    "thinking-document",
    "thinking-before-a-tool-call",
    "length",
    "stop-sequence",
    "refusal",
    "refusal-document",
    "citations",
    "cached-input",
    "cache-written",
    "service-tier",
    "error-in-place-of-an-answer",
    "error-as-the-first-event",
    "error-after-text",
    "cut-before-text",
    "cut-after-text",
    "unknown-events-are-skipped",
    "not-json",
    "rate-limit",
    "overloaded",
    "context-too-long",
    "our-key",
)

#: dialect -> what only it has.
OWN: dict[str, tuple[str, ...]] = {
    "anthropic": (
        "cache-written-by-class",
        "usage-restated-at-the-end",
        "usage-at-the-end-only",
        "several-message-deltas",
        "redacted-thinking",
        "hidden-thinking",
        "own-tools-are-no-calls",
        "ping-is-nothing",
        "no-event-names",
        "second-message-start",
        "part-of-a-block-that-was-not-begun",
        "no-message-stop",
        "pause-turn",
        "context-window-exceeded",
        "unknown-stop-reason",
        "fast",
        "compaction-is-billed",
        "overloaded-529",
        "our-credit-400",
        "document-in-place-of-a-stream",
        "prompt-too-long-words",
        "max-tokens-words",
        "billing-error",
        "not-found",
        "too-large",
    ),
    "responses": (
        "bio-policy",
        "cache-written-by-class",
        "content-filter",
        "custom-tool-call",
        "data-residency-mismatch",
        "document-in-place-of-a-stream",
        "done-marker",
        "failed-document",
        "flat-error-event",
        "incomplete-without-a-reason",
        "items-without-deltas",
        "log-probabilities",
        "max-messages",
        "namespace-call",
        "no-usage",
        "only-the-last-event",
        "searches-are-billed",
        "several-messages",
        "steered",
        "summary-of-several-parts",
    ),
    "gemini": (
        "a-signature-on-an-empty-last-text-is-no-output",
        "arguments-in-pieces-are-one-object",
        "finish-malformed-function-call-is-a-failure",
        "finish-continuation-is-a-failure",
        "an-unknown-finish-after-text-is-a-stop",
        "a-cut-inside-an-event-is-a-failure",
        "a-blocked-prompt",
        "a-blocked-prompt-in-a-document",
        "a-quota-of-a-day",
        "access-denied-is-the-operators",
        "a-model-that-is-not-there",
        "thinking-inside-the-candidates",
        "tokens-of-tools-are-input",
        "tokens-by-modality",
        "no-report-is-counted",
        "what-was-looked-up-in-every-event-is-cited-once",
        "what-was-quoted-is-cited",
        "log-probabilities",
        "two-candidates",
        "a-picture",
        "sound-in-a-document",
        "code-that-google-ran-is-carried",
        "an-array-where-a-stream-was-asked",
        "half-an-emoji-and-nan",
    ),
}

#: dialect -> case -> why it has none.
NOT_THERE: dict[str, dict[str, str]] = {
    "anthropic": {},
    "responses": {"stop-sequence": "the API takes none"},
    "gemini": {"cache-written": "what is written to its caches costs nothing by the token, and is not reported"},
}


def required(dialect: str) -> set[str]:
    """Return the cases that a dialect must have."""
    return ({*EVERYWHERE, *OWN.get(dialect, ())}) - NOT_THERE.get(dialect, {}).keys()
