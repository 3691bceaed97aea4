"""Tells from a refusal's words whether the prompt does not fit the model. A rule about who is too long, not a list of wordings. Pure.

A sentence accuses somebody of exceeding something. It is a context overflow if the accused is the prompt (input, messages, context, or
plain tokens), and none if it is a stop list, `max_tokens`, the output, a tool, a file, a picture, bytes, or a rate.
"""

from __future__ import annotations

import re

WORDS_CHARACTERS_MAX = 2_048  # of a refusal that are looked at; what is accused stands in its first sentences

SENTENCE = re.compile(r"(?<=[.;!?])\s+|\n+|, (?=please|however|but|and you|try)")
#: Where in the request something stands, before the colon: the accused comes after it.
PLACE = re.compile(
    r"^(?:[\w$-]{1,64}(?:[.\[\]]{1,2}[\w$-]{1,64}){1,12}\]?|body|input validation error|bad request|invalid params?)\s?[:,]\s"
)

#: Who is meant if the prompt is too long. Tokens alone belong to the prompt, unless somebody else's are named.
PROMPT = (
    r"prompts?|inputs?(?! should)|messages?|contexts?(?! (?:deadline|cancell?ed|timeout))|conversations?|history|sequences?|text|n_ctx"
    r"|max_prompt_tokens|query"
)
#: Who else can be too long.
OTHER = (
    r"`?stop`? (?:list|sequences?|words?|strings?)|stop|max_(?:completion_|output_|new_)?tokens|max (?:completion |output |new )tokens"
    r"|max_tokens_to_sample|outputs?|completions?|generat\w+|response_format|responses?|answers?|thinking|reasoning|budget_tokens"
    r"|tools?|functions?|schemas?|names?|descriptions?|arguments?|parameters?|metadata|labels?|keys?|users?|ids?|urls?|headers?"
    r"|images?|pictures?|photos?|pixels?|files?|documents?|pdfs?|pages?|attachments?|audios?|videos?|frames?|media|uploads?"
    r"|logprobs|top_logprobs|n|choices|candidates|seed|temperature|deadlines?|time|timeouts?|duration|seconds|batch(?:es)?"
    r"|dimensions?|embeddings?"
)
NOUN = re.compile(rf"(?<![\w.])(?:(?P<other>{OTHER})|(?P<request>requests?(?!'s\b))|(?P<prompt>{PROMPT}))(?!\w)")
JOINT = re.compile(rf"(?:\band|\bplus|\+) (?:the )?(?:{PROMPT})\b")  # somebody else's and the prompt together
TOKENS = re.compile(r"\btoken(?:s|ized)?\b")

#: A count and the bound that it breaks, in a sentence about the prompt.
COUNT_AND_BOUND = re.compile(
    r"\b(\d[\d,]{0,12})\b[^\d]{0,60}\b(?:max(?:imum)?|limit|only|at most|up to|allowed)\b[^\d]{0,30}(\d[\d,]{0,12})"
)
#: Being too long: before it stands the accused, after it a bound.
EXCEEDS = re.compile(
    r"\bexceed(?:s|ed|ing)?\b|\b(?:is|are|was|were|be) (?:over|above|beyond)\b|\b(?:longer|larger|greater|bigger|more) than\b"
    r"|\bsurpass(?:es|ed)?\b"
    r"|\b(?:too (?:long|large|big))\b|\boverflow(?:s|ed|ing)?\b|\bout of (?:the )?range\b|\b(?:does|do|did|can|will)(?: not|n't"
    r"|not) fit\b"
    r"|\bmust (?:be|have|contain) (?:less|fewer|shorter|at most|no more|not more|within|under|below|smaller|<=?)|\bmust not be longer\b"
    r"|\bonly supports? (?:up to|at most|a maximum|(?:\d|context|input)[^.]{0,20}\d)|\bsupports? (?:at most|up to|a maximum)\b"
    r"|\btoo small\b"
    r"|\b\d{2,9} ?> ?\d{2,9}\b|\b(?:context|window) (?:is |was )?full\b|\blimit (?:was |has been |is )?(?:reached|hit)\b"
)
BY_TOKENS = re.compile(r" by (?:about |around )?\d[\d,]{0,12} tokens?\b")  # how much too long, behind the verb
TOO_MANY = re.compile(r"\btoo many\b(.{0,80})")
RANGE = re.compile(r"\brange of (.{1,80}?) (?:should|must) be\b")
#: A maximum that the prompt alone has; stating it in a refusal is the accusation, unless the numbers beside it disprove it.
STATED = re.compile(
    r"\bmax(?:imum)? (?:allowed )?(?:context|prompt|input|model|sequence)(?: (?:length|size|window|tokens?|characters?))+(?: of| is| was"
    r"|:)? ?(?P<limit>\d[\d,]{0,12})?"
    r"|\bcontext (?:length|size|window) (?:of|is)(?: only)? (?P<window>\d[\d,]{0,12})"
)
SHORTEN = re.compile(
    r"\b(?:reduce|shorten|truncate|decrease)\b(?: the| your)? (?:length|size|number)? ?(?:of )?(?:the |your )?(?:input |prompt "
    r"|chat )?(?:messages?|prompt|input|context|conversation)\b"
)
UNIT_OF_BYTES = re.compile(r"\b\d[\d.,]{0,15}\s?(?:[kmg]i?b|bytes?|megabytes?|pixels?|px)\b|\bbytes\b")
#: Words by which a request is long in tokens, and not as a body.
IN_TOKENS = re.compile(r"\btoken|\bcontext\b|\blength\b|\bprompt\b|\bwindow\b|\bmessages?\b|\bn_ctx\b")
RATE = re.compile(
    r"\bper[ -](?:minute|min|hour|day)\b|\b(?:requests?|tokens?|calls?|queries)\b[^.;\n]{0,30}\bper[ -](?:second|sec)\b"
    r"|\b(?:tpm|rpm|tpd|rpd|itpm|otpm|qps|qpm)\b|\brate[ _-]?limit|\btoo many requests\b"
)
#: Being told to wait: that makes no prompt shorter. Unless the words also say how much fits, or who is too long: then it is politeness.
WAIT = re.compile(
    r"\bplease wait\b|\bwait (?:before|and|for|until)\b|\b(?:try|retry) again (?:later|in (?:\d|a (?:second|minute|moment|few|while)))"
)
BOUNDED = re.compile(r"\bmax(?:imum)?\b(?! (?:number of )?(?:retries|attempts))|\bcontext (?:length|window|size)\b|\btoo long\b")
ELSEWHERE = re.compile(
    r"(?:输入|上下文|提示词|对话|消息|prompt|token)[^。,;]{0,30}(?:超过|超出|过长|超限|太长)|(?:超过|超出)[^。,;]{0,30}(?:上下文|输入长度|最大长度|token)"
)
NUMBER = re.compile(r"\d[\d,]{1,12}")


def is_overflow(words: str) -> bool:
    """Tell whether a refusal says that the prompt is too long. `words` are in lower case."""
    words = words[:WORDS_CHARACTERS_MAX]
    if RATE.search(words) or UNIT_OF_BYTES.search(words) or (WAIT.search(words) and not BOUNDED.search(words)):
        return False
    for sentence in SENTENCE.split(words):
        verdict = accuses_prompt(PLACE.sub("", sentence.strip()), words)
        if verdict is not None:
            return verdict
    return SHORTEN.search(words) is not None or ELSEWHERE.search(words) is not None


def accuses_prompt(sentence: str, words: str) -> bool | None:
    """Tell whether a sentence says that the prompt is too long; None if it accuses nobody."""
    many = TOO_MANY.search(sentence)
    if many:
        before = sentence[: many.start()].rstrip()
        what, of_whom = nouns(many[1]), nouns(before)
        if before.endswith(":") and of_whom[-1:] == ["other"]:
            return False  # the place in the request, before its colon
        return is_prompt(what or of_whom, words) if what or TOKENS.search(many[1]) else False
    ranged = RANGE.search(sentence)
    if ranged:
        return is_prompt(nouns(ranged[1]) or ["other"], words)
    stated = STATED.search(sentence)
    exceeds = EXCEEDS.search(sentence)
    if exceeds and not (stated and stated.start() < exceeds.start() and not nouns(sentence[: stated.start()])):
        before = sentence[: exceeds.start()]
        accused = nouns(before)
        if accused:
            return is_prompt(accused, words) or (accused[0] == "other" and JOINT.search(before) is not None)
        of_tokens = TOKENS.search(before) is not None or BY_TOKENS.match(sentence, exceeds.end()) is not None
        return True if of_tokens or nouns(sentence[exceeds.end() :])[:1] == ["prompt"] else None
    if stated:
        return not fits(stated, words)
    counted = COUNT_AND_BOUND.search(sentence)
    broken = counted is not None and number(counted[1]) > number(counted[2]) and nouns(sentence)[:1] == ["prompt"]
    return True if broken else None


def is_prompt(accused: list[str], words: str) -> bool:
    """Tell whether the first of those accused is the prompt; tokens alone, if nobody is. A request may also be too long in bytes."""
    first = accused[0] if accused else "prompt"
    return first == "prompt" or (first == "request" and IN_TOKENS.search(words) is not None)


def fits(stated: re.Match[str], words: str) -> bool:
    """Tell whether the numbers behind a stated maximum are all within it: then something else was refused."""
    limit = number(stated["limit"] or stated["window"])
    others = [named for found in NUMBER.findall(words) if (named := number(found)) != limit]
    return bool(limit and others) and max(others) < limit


def nouns(text: str) -> list[str]:
    """Return who is named in a text, in order, each as "prompt", "request" or "other"."""
    return [found.lastgroup or "" for found in NOUN.finditer(text)]


def number(text: str | None) -> int:
    """Read a number with or without commas; 0 for none."""
    digits = (text or "").replace(",", "")
    return int(digits) if digits else 0


def tokens_named(words: str) -> int:
    """Return the largest number that an overflow's words name: what the prompt has, or what the window holds; 0 if they name none."""
    return max((number(found) for found in NUMBER.findall(words[:WORDS_CHARACTERS_MAX])), default=0)
