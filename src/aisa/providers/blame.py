"""What a vendor's refusal means: whose fault it is, which of our codes the caller gets, and which targets may do better. Pure.

Shared by all dialects: a dialect's refusal is read into a Report (`report.py`), the table decides (`blame_table.py`), and what the caller
sees of the vendor's words is made fit to show (`redaction.py`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from aisa.errors import CALLER, OPERATOR, ApiError, CreditSpent, KeyRefused, UpstreamFailed
from aisa.providers import blame_table as table
from aisa.providers.blame_table import ROWS, STATUS_OF, Row, Verdict, squeezed
from aisa.providers.blame_words import KEY_WORDS, MODEL_WORDS, VERSION_WORDS
from aisa.providers.overflow import is_overflow, tokens_named
from aisa.providers.redaction import fit_to_show
from aisa.providers.report import Report, read_report
from aisa.providers.shape import Target
from aisa.usage import BYTES_PER_TOKEN
from aisa.wire.vendor_error import Unintelligible, VendorError

CODE_CHARACTERS_MAX = 60  # real codes are shorter
CODE = re.compile(r"\S+(?: \S+){0,2}")  # more words are a sentence
PARAM_CHARACTERS_MAX = 200
TYPE_CHARACTERS_MAX = 100  # of a content type; real ones are shorter
NAME_CHARACTERS_MIN = 3  # a shorter name, or part of one, is found in any sentence
RATE_WAIT_SECONDS_MAX = 3_600  # who asks to wait longer is not limiting a rate, but has no credit left; so long no client waits
#: Which fields a refusal may name for its words to stand for a verdict. What another field holds is the caller's own.
OUR_FIELDS = re.compile(r"(?:body\.)?(?:model|api[_-]?(?:key|version)|authorization|key|headers?\b.*)$", re.IGNORECASE)
#: What is to be written counts too: a window holds both, and the words tell which of them is too long.
PROMPT_FIELDS = re.compile(
    r"(?:body\.)?(?:messages?|prompts?|inputs?|contents?|context|model|max_(?:\w{1,20}_)?tokens)(?:\b|_)", re.IGNORECASE
)
ABOUT = {KEY_WORDS: OUR_FIELDS, MODEL_WORDS: OUR_FIELDS, VERSION_WORDS: OUR_FIELDS, is_overflow: PROMPT_FIELDS}
#: A place in what the caller wrote, where a message begins with it: behind it vendors echo what stands there.
AT_HEAD = re.compile(r"(?:body\.)?(?:messages|input|contents|system|tools|functions)[.\[][\w.\[\]-]{1,200}: ")
#: How a rate limit says that the one request is above it: waiting cannot help.
LIMIT_AND_ASKED = re.compile(r"\blimit:? (\d[\d,]{0,12})\b[^\n]{0,80}?\brequested:? (\d[\d,]{0,12})\b")
REFUSED_STATUSES = frozenset({0, 400, 404, 422, 501})  # under which vendors refuse a field that they do not know


def odd_type(headers: Mapping[str, str]) -> str:
    """Say what an answer that could not be read says it is, if that is a page or a text: somebody else has answered than was meant."""
    kind = headers.get("content-type", "")
    return f", with content type {kind[:TYPE_CHARACTERS_MAX]}" if kind.startswith("text/") and "event-stream" not in kind else ""


def judge(report: Report, target: Target, added: Sequence[str] = ()) -> UpstreamFailed:
    """Return the failure that a vendor's refusal amounts to. `added` are the request's members that we, and not the caller, put in.

    The log gets what was decided and why, and the vendor's words only where they are about us. They may quote a prompt even so, and are
    not kept.
    """
    report = with_status(report)
    verdict = verdict_on(report, target)
    code = fit_to_show(report.codes[0] if report.codes and CODE.fullmatch(report.codes[0]) else "", target)[:CODE_CHARACTERS_MAX]
    detail = f"{target.vendor} answered {report.status or 'an error'} {code}".rstrip() + f", taken as: {verdict.name}"
    shown = fit_to_show(report.message, target)
    if verdict.blame == OPERATOR:
        error = ApiError(verdict.code, verdict.ours.format(target.vendor), should_retry=False)
        failed = KeyRefused if verdict is table.OUR_KEY else CreditSpent if verdict is table.OUR_CREDIT else UpstreamFailed
        ours = failed(error, blame=OPERATOR, detail=f"{detail}: {shown}")
        ours.kept = detail
        return ours
    refused = refused_of(report, added) if verdict.blame == CALLER else ()
    if refused:
        error = ApiError(verdict.code, f"The vendor '{target.vendor}' refuses what this server adds to requests.")
        return UpstreamFailed(error, refused=refused, detail=f"{detail}; it refuses {', '.join(refused)} and is asked without from now on")
    if verdict.blame == CALLER:
        param = fit_to_show(report.param or "", target)[:PARAM_CHARACTERS_MAX] or PARAMS.get(verdict.code)
        error = ApiError(verdict.code, shown or verdict.ours.format(target.vendor), param=param)
        error.kept = verdict.ours.format(target.vendor)
        return UpstreamFailed(
            error,
            blame=CALLER,
            may_fall_back=verdict.others != table.NONE,
            overflow_tokens=overflow_tokens(report, target) if verdict.others == table.LARGER else None,
            detail=detail,
        )
    wait = report.wait if report.wait is not None else report.reset
    hopeless = verdict is table.RATE and is_above_limit(report)
    if verdict not in (table.RATE, table.CAPACITY) or hopeless:
        wait = None
    stated = report.wait is not None or report.used_up  # a limit that is not used up may start anew in a day, and is not what was hit
    hopeless = hopeless or (verdict is table.RATE and stated and (wait or 0.0) >= RATE_WAIT_SECONDS_MAX)  # as the quota of a day
    error = ApiError(verdict.code, verdict.ours.format(target.vendor), retry_after=wait, should_retry=False if hopeless else None)
    return UpstreamFailed(error, detail=detail)


def blame_for(error: VendorError, target: Target) -> UpstreamFailed:
    """Return the failure that an error inside an answer amounts to."""
    if isinstance(error, Unintelligible):
        return unreadable(target, str(error.report))
    return judge(read_report(error.report), target)


def may_do_better(failure: UpstreamFailed, target: Target, prompt_bytes: int) -> bool:
    """Tell whether another target is to be asked after a failure.

    A prompt that is too long for one is sent only to those whose known context window holds it: by the count that the vendor named, else by
    the window that it did not fit, else by its size.
    """
    if failure.overflow_tokens is None:
        return failure.may_fall_back
    needed = failure.overflow_tokens or prompt_bytes // BYTES_PER_TOKEN
    return target.context_window is not None and target.context_window > needed


def to_tell(told: UpstreamFailed | None, failure: UpstreamFailed) -> UpstreamFailed:
    """Return which of two failures the caller is told of if no target answers: the first that is his to mend, else the last.

    But none that no retry cures while one of another target may pass, and of waits the shortest: the next call may be answered there.
    """
    if told is None or CALLER in (told.blame, failure.blame):
        return told if told is not None and told.blame == CALLER else failure
    if (told.error.should_retry is False) != (failure.error.should_retry is False):
        return failure if told.error.should_retry is False else told
    sooner = told.retry_after is not None and failure.retry_after is not None and told.retry_after < failure.retry_after
    return told if sooner else failure


def with_status(report: Report) -> Report:
    """Return a report with the status that its codes stand for, if it has none of its own."""
    if report.status:
        return report
    return report._replace(status=next((STATUS_OF[code] for code in map(squeezed, report.codes) if code in STATUS_OF), 0))


def verdict_on(report: Report, target: Target) -> Verdict:
    """Return the verdict of the first row that fits."""
    said = without_name(report.words, target)
    given = frozenset(map(squeezed, report.all_codes))
    row = next(row for row in ROWS if fits(row, report, said, given=given, target=target) and may_speak_of(row, report))
    if row.verdict is table.OUR_CREDIT and report.wait is not None and report.wait <= RATE_WAIT_SECONDS_MAX:
        return table.RATE
    if row.verdict is table.OUR_MODEL and target.named_by_caller:
        return table.UNKNOWN_NAME
    return row.verdict


def fits(row: Row, report: Report, said: str, *, given: frozenset[str], target: Target) -> bool:
    """Tell whether a row recognises a report. `said` are its words, `given` its codes squeezed."""
    if row.vendor and not row.vendor(f"{target.vendor} {target.host} {target.dialect}".lower()):
        return False
    if row.codes:
        return bool(row.codes & given) or (row.prefixes and any(code.startswith(tuple(row.codes)) for code in given))
    if row.statuses is not None and report.status not in row.statuses:
        return False
    return row.words is None or (bool(row.words(said)) and not (row.unless and row.unless(said)))


def may_speak_of(row: Row, report: Report) -> bool:
    """Tell whether a row's words can be about a field that the refusal names: nobody's key is in a tool, and no prompt in `top_p`."""
    if row.words is not None and row.verdict.blame == OPERATOR and AT_HEAD.match(report.message):
        return False
    about = None if row.words is None else ABOUT.get(row.words)
    return report.param is None or about is None or about.match(report.param) is not None


def without_name(words: str, target: Target) -> str:
    """Return a refusal's words with `%` in place of the model's name that we sent, whole or without what stands before its last slash."""
    said = words.replace("%", " ")
    name = target.model.lower()
    for form in (name, name.rpartition("/")[2]):
        if len(form) >= NAME_CHARACTERS_MIN and form in said:
            said = re.sub(rf"(?<![\w-]){re.escape(form)}(?![\w-])", "%", said)
    return said


def overflow_tokens(report: Report, target: Target) -> int:
    """Return how many tokens a context window must exceed to hold the prompt that did not fit, 0 if that is not known."""
    return max(tokens_named(report.words), target.context_window or 0)


def is_above_limit(report: Report) -> bool:
    """Tell whether a rate limit names a request that is larger than the whole limit."""
    found = LIMIT_AND_ASKED.search(report.words)
    return found is not None and int(found[2].replace(",", "")) > int(found[1].replace(",", ""))


def refused_of(report: Report, added: Sequence[str]) -> tuple[str, ...]:
    """Return the first of the members that we added that the refusal names: what stands in another comes before it."""
    if report.status not in REFUSED_STATUSES:
        return ()
    said = f"{report.message} {report.param or ''}"
    return tuple(name for name in added if re.search(rf"(?<!\w){name.replace('_', '[_ ]?')}(?!\w)", said, re.IGNORECASE))[:1]


PARAMS = {"context_length_exceeded": "messages", "unknown_model": "model"}  # the field at fault, where the vendor names none


def unreadable(target: Target, what: str) -> UpstreamFailed:
    """An answer that breaks the protocol."""
    error = ApiError("gateway_error", f"The vendor '{target.vendor}' sent an answer that could not be understood.")
    return UpstreamFailed(error, detail=f"{target.vendor}: {what}")


def broken_off(target: Target, *, heard: bool) -> UpstreamFailed:
    """An answer that ended before it was complete; where nothing of one was heard, as of a page in its place, none was begun."""
    if not heard:
        return unreadable(target, "nothing that is part of an answer")
    error = ApiError("upstream_unavailable", f"The vendor '{target.vendor}' broke off its answer. What was sent is incomplete.")
    return UpstreamFailed(error, detail=f"{target.vendor} ended without a finish reason")
