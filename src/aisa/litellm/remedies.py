"""What to do about settings of LiteLLM's that have no counterpart here, where there is something to do. Texts only."""

from __future__ import annotations

from aisa.keys.rules import SECRET_CHARS_MIN

#: What to do about members of an entry that are not carried over.
PARAMETERS = {
    "vertex_credentials": "Put it into a file, and name that under the vendor's google_credentials.",
    **dict.fromkeys(
        ("aws_access_key_id", "aws_secret_access_key", "aws_session_token", "aws_role_name", "aws_session_name", "aws_web_identity_token"),
        "Put it into a profile of ~/.aws/config, and name that under the vendor's aws_credentials.",
    ),
    "max_budget": "Money is limited by keys and accounts here, and not by targets: docs/billing.md.",
    "budget_duration": "Money is limited by keys and accounts here, and not by targets: docs/billing.md.",
    "max_retries": "How often a model's targets are asked again is its `route.retries`: docs/routes.md.",
}
#: The same of what is said of a model.
INFORMED = {
    "access_groups": "Which models a key may call stands in the key here: aisa keys update KEY --models.",
    "team_id": "Which models a key may call stands in the key here: aisa keys update KEY --models.",
}
#: The same of how calls are routed.
ROUTING = {
    "enable_pre_call_checks": "A prompt goes only where it fits, where the window is known: context_window of a target.",
    "allowed_fails": "A target that fails is asked last for a while, and then tried by one call: docs/routes.md.",
    "cooldown_time": "A target that fails is asked last for a while, and then tried by one call: docs/routes.md.",
    "redis_host": "Servers share limits and wallets through `stores`: docs/stores.md.",
}
#: The same of strategies that choose otherwise here.
USAGE = "Here it is `route.by: load`, which goes by calls in flight and not by the tokens of a minute."
NO_CHOICE = "No model has several targets of its own to choose from, so it is written nowhere."
#: The same of the settings of the whole server.
GENERAL = {
    "master_key": "Administration is at the control socket and by the command line. For clients that call with it: "
    f"aisa keys create NAME --import, which takes {SECRET_CHARS_MIN} characters or more: a shorter one, such as sk-1234, can be guessed. "
    "Make another in its place: aisa keys create NAME.",
    "database_url": "Virtual keys come over by: aisa keys import litellm FILE, from an export of LiteLLM_VerificationToken.",
    "max_parallel_requests": "Limits belong to tiers and keys here: docs/limits.md.",
    "global_max_parallel_requests": "Limits belong to tiers and keys here: docs/limits.md.",
}
