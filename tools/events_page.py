"""Writes docs/events.md, what the log says, from the types of facts to standard output. Knows only what a field's name cannot say."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, get_args, get_type_hints

from aisa.errors import CALLER, OPERATOR, SERVER, VENDOR
from aisa.facts import CallEnded, CallQueued, Fact, Refused, TargetHealth, VendorFailed
from aisa.observe.levels import BY_BLAME, LEVELS, level_of
from aisa.observe.log import json_line
from aisa.usage import Usage

OPENING = """\
# Events: what the log says

<!-- Made by `make docs` from src/aisa/facts.py, src/aisa/observe/levels.py and tools/events_page.py. Edit those files, not this page. -->

The log goes to standard error. On a terminal it is for people: a line a call, in columns, in colour (not with `NO_COLOR` set), never wider
than the terminal. Elsewhere it is one JSON object a line; `log.format` says otherwise, `log.level` how much is written. No line holds a
prompt, an answer, a key or a password.

## On a terminal

```text
14:59:22 200 laptop   gpt-4.1      01M8J6DZ…CD23       1,234→340 $0.005188  2.41s
14:59:23 504 laptop   gpt-4.1      01M8J6E1…CD24 vendor: upstream_timeout
             openai: no answer in 60 s
```

From the left: local time, HTTP status, the key's label, the model as it was asked for, the call's id in short (`aisa explain 01M8J6DZ…CD23`
takes it; a terminal of 140 columns has five characters more in its middle, as the console has, `01M8J6DZFBH9D…CD23`: no other call of the
same process and second has either), input and billed output tokens, the cost in US dollars, and how long the call took; a terminal of 112
columns has the time to the first token before that, and behind it what is out of the ordinary: where the call went, how many attempts it
took. A call that did not end well says instead what it cost all the same, by whose fault it ended (`caller`, `operator`, `vendor`,
`server`), the error's code, and what the vendor said, in lines below where it does not fit. What an operator must act on (`ACT NOW`) has a
line of its own, once a minute.

Where there is no terminal, `log.format: text` writes the same with date, whole id and the client's address, and does not cut lines before
8,000 characters.

## As JSON

Every event has three members, and those of its type behind them:

| member | what it is |
|---|---|
| `time` | ISO 8601 in UTC, with milliseconds |
| `level` | `info`: to be known; `warning`: to be looked at; `error`: to be acted on |
| `type` | one of the types below |

Types and members are added, so ignore what you do not know. Times and lengths are in seconds with at most six decimals, money is in
nano-dollars (10^-9 US dollar), an integer. A line has at most some 24,000 bytes: a longer one loses the middles of its texts.

| type | level | when |
|---|---|---|
"""

#: What the members of events mean, wherever they stand.
FIELDS: Mapping[str, str] = MappingProxyType(
    {
        "account": "the account's name",
        "action": "what was done",
        "address": "the client's address, as far as `log.client_address` lets it be told",
        "after_restart": "settings that differ and count only after a restart",
        "amount": "in nano-dollars, negative if it was taken out",
        "answered": "the model that the answer names",
        "asked": "choices that were asked for",
        "attempts": "targets that were asked, each try counted",
        "balance": "what is in the wallet now, in nano-dollars; null if it has no limit",
        "billed_tokens": "output tokens that are paid for",
        "blame": f"whose fault it is: `{CALLER}`, `{OPERATOR}`, `{VENDOR}` or `{SERVER}` (ours); null if nothing failed",
        "bytes_sent": "bytes of HTTP that went to the client",
        "call_id": "the call whose answer was given again",
        "calls": "how many calls; null where the workers have them",
        "calls_in_journal": "calls that the next start brings to the database",
        "changed": "the settings that differ, as dotted paths",
        "changes": "the kinds of changes, in the vendor's words",
        "client_request_id": "what the caller's `X-Client-Request-Id` said; null if nothing",
        "code": "an error's code, see [errors.md](errors.md)",
        "cost_nanos": "what it costs, in nano-dollars; null if there is no price",
        "count": "how many",
        "data_dir": "the data folder, as a whole path",
        "detail": "what the vendor said or what went wrong on the way to it; may name its address",
        "error_code": "why the call failed or was cut, see [errors.md](errors.md); null if it was not",
        "first_token_seconds": "from the request's arrival to the first token that left; null if none did",
        "key_id": "the key's id; empty if it is not known",
        "key_label": "the key's label; empty if it is not known",
        "keys": "API keys that are known",
        "kinds": "the keys of the prices that are missing",
        "label": "the key's label",
        "last_for_seconds": "how long the target is asked last; 0 when it is back in its place",
        "loud": "whether an operator must act",
        "made": "choices that were made",
        "message": "a sentence for people, which may be reworded",
        "method": "of the HTTP request",
        "model": "in `call` the model's name in the configuration or as it was asked for; else the vendor's name for it",
        "name": "the team's name",
        "number": "which of the vendor's credentials, from 1",
        "of": "how many credentials the vendor has",
        "outcome": "`completed`, `failed` (nothing was sent), `cut` (a stream broke off), `client_gone`, `client_stalled`, `shut_down`; "
        "`refused` by its caller's own fault before anything of an answer had come: by a limit, a cap, a wallet, a vendor or its dialect",
        "path": "of the HTTP request, its first 128 characters",
        "price_source": "whose price the call cost",
        "problems": "what is wrong, each with the setting that it is about",
        "process": "the process's number; of the parent where there are workers",
        "remedy": "what to do",
        "store": "`database`, or `limits`",
        "reason": "why a whole vendor is asked last: `key_refused`, `no_credit`, `unreachable`; empty for a target",
        "request_id": "the `x-request-id` of the answer; `aisa explain` takes it",
        "part": "of the ledger: the `database`, the `journal`, or the `folder` of both",
        "rows": "rows that were written at once",
        "seconds": "how long",
        "calls_ended": "how many of them had ended before, and only waited for the database",
        "ended": "how a wait has: `served`, `refused` as there was no room in time, or `left` by its client",
        "status": "HTTP status that the client got, 499 if it left before it got any; "
        "of a credential what the vendor answered, 0 if it could not be had",
        "stream": "whether a stream was asked for",
        "target": "`vendor/model` that was asked last",
        "team_id": "the team's id",
        "tier": "the account's tier; null for the default",
        "total_seconds": "from the request's arrival to its end",
        "traceparent": "its place in a trace; null where calls are not traced",
        "trace": "where in the code, for a report of the bug",
        "url": "where it listens",
        "usage": "what the vendor made, in tokens: `input_tokens`, `output_tokens`, and of them cached, written to a cache, of reasoning "
        "and of audio; `source` and `input_source` say whether it was `reported`, `counted` or `estimated`",
        "vendor": "the vendor's name in the configuration",
        "vendors": "the vendors' names",
        "version": "of aisa",
        "what": "what went wrong",
        "word": "the vendor's word",
        "workers": "processes that serve calls",
        "workers_waiting": "workers that have not said yet that they have it",
    }
)
#: A value for the example of each member whose type alone would not make a likely one.
EXAMPLES: Mapping[str, object] = MappingProxyType(
    {
        "account": "acme",
        "action": "created",
        "address": "192.0.2.0/24",
        "answered": "gpt-4.1-2025-04-14",
        "asked": 3,
        "attempts": 1,
        "billed_tokens": 340,
        "blame": VENDOR,
        "bytes_sent": 18_211,
        "call_id": "req_01M8HAP0C98Q98A2MJM043CSE1",
        "changed": ("limits.tiers", "models.fast"),
        "changes": "reasoning removed (model_mismatch)",
        "code": "upstream_timeout",
        "count": 2,
        "data_dir": "/var/lib/aisa",
        "detail": "openai: no answer in 60 s",
        "key_id": "key_7NMTrxqWjS",
        "key_label": "laptop",
        "kinds": "output_audio",
        "label": "laptop",
        "name": "bots",
        "team_id": "team_4uVdR1sQz8",
        "cost_nanos": 5_188_000,
        "ended": "served",
        "first_token_seconds": 0.412,
        "made": 1,
        "message": "SIGUSR1 is ignored",
        "method": "POST",
        "model": "gpt-4.1",
        "of": 3,
        "outcome": "completed",
        "part": "database",
        "path": "/v1/chat/completions",
        "price_source": "catalogue",
        "problems": ("models.fast: The vendor 'nobody' is not configured.",),
        "remedy": "Free some space.",
        "reason": "",
        "request_id": "req_01M8HAP0CA8Q98A2MJM043CSE2",
        "status": 200,
        "stream": True,
        "target": "openai/gpt-4.1",
        "total_seconds": 2.41,
        "trace": "Traceback ...",
        "url": "http://127.0.0.1:8000",
        "usage": Usage(1_234, 340),
        "vendor": "openai",
        "vendors": ("openai", "local"),
        "version": "0.1.0",
        "what": "The disk is full.",
        "word": "eos",
    }
)


def page() -> str:
    """Return the whole page as Markdown, events in the order of their types in the code."""
    kinds = sorted(get_args(Fact), key=lambda kind: kind.__struct_config__.tag)
    rows = "".join(f"| [`{tag(kind)}`](#{tag(kind)}) | {levels(kind)} | {first_sentence(kind)} |\n" for kind in kinds)
    return OPENING + rows + "".join(section(kind) for kind in kinds)


def tag(kind: type[Fact]) -> str:
    """Return the type's name in JSON."""
    return str(kind.__struct_config__.tag)


def levels(kind: type[Fact]) -> str:
    """Return the level that events of a type have, or what it depends on."""
    if kind in (CallEnded, VendorFailed):
        by_level = (f"{level} ({', '.join(str(who) for who, its in BY_BLAME.items() if its == level)})" for level in LEVELS)
        return f"by whose fault it is: {', '.join(by_level)}"
    if kind is Refused:
        return "info; warning from status 500 on"
    if kind is CallQueued:
        return "info; warning when it was in vain"
    if kind is TargetHealth:
        return "warning; info when it is back"
    return level_of(example(kind))


def first_sentence(kind: type[Fact]) -> str:
    """Return the first sentence of a type's description."""
    return described(kind).split("\n\n")[0].split(". ")[0].rstrip(".")


def described(kind: type[Fact]) -> str:
    """Return a type's description, a line a paragraph, in the words of JSON."""
    return re.sub(r"(?<!\n)\n(?!\n)", " ", inspect.cleandoc(kind.__doc__ or "")).replace("None", "null")


def section(kind: type[Fact]) -> str:
    """Return what a type says, member by member, and an example."""
    hints = get_type_hints(kind)
    members = "".join(f"| `{name}` | {json_type(str(hints[name]))} | {FIELDS[name]} |\n" for name in kind.__struct_fields__)
    line = json_line(1_795_878_000.123, example(kind)).decode()
    return f"\n## {tag(kind)}\n\n{described(kind)}\n\n| member | type | what it is |\n|---|---|---|\n{members}\n```json\n{line}```\n"


def json_type(hint: str) -> str:
    """Return a member's type in the words of JSON."""
    found = "list of texts" if "tuple" in hint else next((said for name, said in JSON_TYPES.items() if name in hint), "object")
    return f"{found} or null" if "None" in hint else found


JSON_TYPES: Mapping[str, str] = MappingProxyType({"bool": "true or false", "int": "integer", "float": "number", "str": "text"})


def example(kind: type[Fact]) -> Fact:
    """Return a likely event of a type."""
    hints = get_type_hints(kind)
    values: dict[str, Any] = {name: EXAMPLES.get(name, value_of(str(hints[name]))) for name in kind.__struct_fields__}
    if kind is CallEnded:
        values |= {"blame": None}
    return kind(**values)


def value_of(hint: str) -> object:
    """Return a value of a type that needs no thought."""
    if "None" in hint:
        return None
    if "tuple" in hint:
        return ()
    return {"int": 4, "float": 5.0, "bool": False}.get(hint.removeprefix("<class '").removesuffix("'>"), "")


if __name__ == "__main__":
    sys.stdout.write(page())
