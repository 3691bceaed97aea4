"""What may be shown of a vendor's words: its own sentence, without keys, machines, files and traces. Does not judge what the words mean.

Whatever a vendor writes, the cost is bounded: no more than LOOKED_AT_CHARACTERS_MAX are looked at, and every pattern is linear in them.
"""

from __future__ import annotations

import ipaddress
import re
from base64 import b64encode
from collections.abc import Callable
from functools import lru_cache
from urllib.parse import quote

from aisa.providers.shape import Target

LOOKED_AT_CHARACTERS_MAX = 4_096  # of a vendor's message; four times what is shown, as what is cut out makes it shorter
MESSAGE_CHARACTERS_MAX = 1_000  # longer vendor messages are dumps of our own request
REDACTED = "[redacted]"
SECRETS_KNOWN_MAX = 1_024  # whose patterns are kept; a vendor has a handful
ANY_CASE_CHARACTERS_MIN = 12  # of a secret; a local server's key may be EMPTY, and messages have such words
PACKED_CHARACTERS_MIN = 8  # of a secret in base64, without its ends: less may be a word

#: Where a stack trace begins, in the forms of Python, JavaScript, Java, .NET, Go, Rust, C++ and PHP. All from there on is left out.
TRACE = re.compile(
    r"traceback(?: \(most recent|:)|stack ?trace:|stack backtrace|file \"[^\"\n]{1,300}\", line \d|\bgoroutine \d+ \["
    r"|thread '[^'\n]{1,80}' panicked"
    r"|\bpanic: |\n\s{0,20}at (?:[^\n]{1,200}[(:]\d|[\w$.<>`]{1,200}\()"
    r"|\bat [\w$<>`]{1,60}\.[\w$.<>`]{1,120}\([^()\n]{0,120}\) in "
    r"|\s{1,4}at [\w$.<>]{1,120}\([^()\s]{0,120}:\d|\bat [\w.$]{1,200}\([\w$]{1,100}\.java\b"
    r"|\n\s{0,20}#\d{1,3} |\n\s{0,20}caused by:|(?<![\w./\\-])[\w./\\-]{1,200}\.(?:py|js|ts|go|rs|java|kt|cc?|cpp|rb|php):\d",
    re.IGNORECASE,
)
URL = re.compile(r"\b[a-z][a-z0-9+.-]{1,20}://[^\s'\"<>`]+", re.IGNORECASE)
DATA_URL = re.compile(r"\bdata:[\w.+/;=-]{0,100},[A-Za-z0-9+/=_%-]*")
EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,6}")
#: The shapes of credentials of vendors and of the places that they run on.
CREDENTIAL = re.compile(
    r"\b(?:sk|pk|rk|ak)[-_][-_A-Za-z0-9*.…]{6,}(?<!\.)|\b(?:gsk|hf|xai|fw|nvapi|pplx|csk|tgp|r8|ghp|gho|ghu|ghs|ghr|github_pat"
    r"|glpat|npm|pypi|dop_v1|whsec)"
    r"[-_][-_A-Za-z0-9*.…]{6,}(?<!\.)|\bxox[a-z]-[-A-Za-z0-9*]{6,}|\bAIza[-_A-Za-z0-9*]{6,}|\bya29\.[-_A-Za-z0-9.*]{6,}|\bA(?:KIA"
    r"|SIA|BSK|ROA|IDA)[A-Za-z0-9*+/=]{8,}"
    r"|\beyJ[-_A-Za-z0-9]{6,}(?:\.[-_A-Za-z0-9*]*){0,4}|\b(?:Bearer|Basic)\s+[-_A-Za-z0-9.~+/=*…]{6,}"
    r"|-----BEGIN [A-Z ]{1,40}-----[^-]*(?:-----END [A-Z ]{1,40}-----)?"
    r"|(?<![A-Za-z0-9])(?:api[-_ ]?key|(?:access|account|private|shared)[-_ ]?key|secret|password|passwd|pwd|sig|signature|cookie"
    r"|session(?:[-_ ]?id)?|(?:access|auth|bearer|refresh|security|session)[-_ ]?token|(?<!expected )\btoken)s?"
    r"\\{0,3}[\"']?\s?[=:]\s?\\{0,3}[\"']?(?=[^\s\"',;\\]{0,200}\d)[^\s\"',;\\]{8,}"
    r"|(?<![\w*-])[\w-]{0,40}\*{4,}[\w*-]{0,80}",
    re.IGNORECASE,
)
#: The same right behind a letter, a digit or an underscore, as in `\nsk-...` and `%22sk-...` of what was escaped: as long as real ones are.
#: Words end in such letters too: behind a vowel (`task-...`, `disk-...`) they must be longer than anybody's ids.
GLUED = re.compile(
    r"(?:(?<![aeio])[srp]k|gsk|hf|xai|nvapi|pplx|csk|gh[opsur]|github_pat|glpat)[-_](?=[-_A-Za-z]{0,60}\d)[-_A-Za-z0-9]{20,}"
    r"|sk[-_](?=[-_A-Za-z]{0,60}\d)[-_A-Za-z0-9]{40,}|AIza[-_A-Za-z0-9]{30,}|A(?:KIA|SIA)[A-Z0-9]{16}"
    r"|eyJ[-_A-Za-z0-9]{20,}\.[-_A-Za-z0-9.]{20,}"
)
#: A key without a mark of its own, as hexadecimal ones: long, of letters and digits in one run, or as AWS's secrets and base64 are.
LONG_RUN = re.compile(
    r"(?<![A-Za-z0-9])[A-Za-z0-9]{32,}(?![A-Za-z0-9])"
    r"|(?<![A-Za-z0-9/+])(?:(?=[A-Za-z0-9/+]{0,39}\d)[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+])|[A-Za-z0-9/+]{20,400}={1,2}(?![\w=]))"
)
#: What the account at the vendor and its parts are called, behind the word that says what it is; that word stays.
ACCOUNT = re.compile(
    r"((?<![A-Za-z])(?:account|consumer|organi[sz]ation|principal|project|subscription|tenant|workspace)s?(?:[ _-]?(?:id|name|number))?"
    r"[\s:=/#('\"`\\]{1,6})(?=[\w.:~-]{0,100}\d)[\w.:~-]{5,200}\w|(\bprojects/)[\w.:-]{1,200}\w",
    re.IGNORECASE,
)
#: The same by marks of their own: OpenAI's, Anthropic's, and AWS's of machines and networks.
ACCOUNT_ID = re.compile(
    r"(?<![A-Za-z0-9])(?:(?:org|proj|acct|wrkspc)[-_](?=[A-Za-z0-9]{0,40}\d)[A-Za-z0-9]{12,}|user-[A-Za-z0-9]{24}(?![A-Za-z0-9])"
    r"|(?:i|vpc|subnet|sg|eni|vol|ami|igw|rtb|nat|lt|snap)-(?=[0-9a-f]{0,16}\d)(?:[0-9a-f]{17}|[0-9a-f]{8})(?![A-Za-z0-9]))"
)
#: A machine by a name that anybody could ask for, behind the word that says what it is; and what a database is reached by.
NAMED_HOST = re.compile(
    r"((?<![A-Za-z])(?:host(?:name)?|server|upstream|backend|node|machine|peer|gateway|look ?up|resolv(?:e|ing))[\s:='\"`\\]{1,6})"
    r"(?:[A-Za-z0-9_-]{1,63}\.){1,8}(?:com|net|org|io|ai|dev|cloud|app|co|tech|sh|xyz|info|run|de|eu|us|uk|cn|fr|jp|in|nl|ch|kr|sg|ca)"
    r"(?![\w-]|\.\w)|((?<!\w)(?:host(?:addr)?|user(?:name| id)?|uid|dbname|database|server|data source)=)[^\s;,&'\"]{2,200}",
    re.IGNORECASE,
)
IPV4 = re.compile(r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?::\d{1,5})?(?![\w.]\d)")
COLONS = re.compile(r"(?<![\w:.])\[?[0-9A-Fa-f:]{2,39}(?:\.\d{1,3}){0,3}(?:%\w{1,15})?\]?(?::\d{1,5})?(?!\w|:[\w:])")
LOCALHOST = re.compile(r"\blocalhost(?::\d+)?\b", re.IGNORECASE)
HOST = re.compile(r"(?<![\w./-])[\w.-]{0,253}\w(?::\d{2,5})?(?![\w-]|:\w)")
#: What machines, their accounts and their network cards are called: by AWS, by Kubernetes, by everybody.
AWS_NAME = re.compile(r"\bip-\d{1,3}(?:-\d{1,3}){3}\b|\barn:aws[\w-]{0,20}:[^\s'\"<>`,;)]+", re.IGNORECASE)
POD = re.compile(r"(?<![\w.-])[a-z][a-z0-9-]{0,200}-(?=[0-9a-f]{0,9}\d)[0-9a-f]{8,10}-[a-z0-9]{5}(?![\w-])")
MAC = re.compile(r"(?:[0-9A-F]{2}:){5}[0-9A-F]{2}", re.IGNORECASE)
#: Endings that only names inside somebody's network have, or what somebody runs in a cloud.
INTERNAL = re.compile(
    r"\.(?:internal|local|localdomain|lan|corp|intranet|intra|home|private|priv|prod|svc|cluster|consul|test|invalid|example"
    r"|ts\.net|amazonaws\.com|azure\.com|azure-api\.net|azurewebsites\.net|azurecontainerapps\.io|azuredatabricks\.net|windows\.net"
    r"|databricks\.com|snowflakecomputing\.com|googleusercontent\.com|gserviceaccount\.com|linodeusercontent\.com|run\.app|appspot\.com"
    r"|fly\.dev|onrender\.com|herokuapp\.com|modal\.run|runpod\.net|endpoints\.huggingface\.cloud|hf\.space|ngrok\.(?:io|app)"
    r"|ngrok-free\.app|trycloudflare\.com)$",
    re.IGNORECASE,
)
PORT = re.compile(r"(.+):(\d{2,5})$")
#: A number after one of these words and a colon is a count, not a port.
COUNTED = frozenset(
    "limit max maximum min minimum used requested remaining current tokens token count length size total input output prompt context"
    " code status error line column position offset index version tpm rpm tpd rpd n_ctx n_keep got expected actual given value".split()
)
PATH = re.compile(
    r"(?<![\w/.~-])(?:~|\.{1,2})?(?:/[\w.@+~-]{1,255}){2,}/?|(?<![\w\\])(?:[A-Za-z]:)?\\{1,2}[\w.$ -]{1,255}(?:\\{1,2}[\w.$ -]{1,255})+"
    r"|(?<![\w/.-])[\w./-]{1,400}\.(?:py|pyc|so|gguf|safetensors|ckpt|pth|sock|pem|conf|cfg|ini|env|log|sh)(?![\w/])"
)
#: First parts of paths that are not files: an API's addresses, and pointers into the caller's own request.
NO_FILES = re.compile(
    r"/(?:v\d\w{0,10}|api|chat|completions|models|openai|inference|messages|tools|functions|response_format|metadata|stop"
    r"|tool_choice|input"
    r"|properties|\$defs|definitions|items|parameters|schema|content|\d+)(?:/|$)"
)
MARKUP = re.compile(r"^\s{0,100}<[!?/a-z]|<(?:!doctype|html|head|body|title|script|div|center|h1)\b", re.IGNORECASE)


def fit_to_show(message: str, target: Target) -> str:
    """Return a vendor's message as a caller may see it: one line, without what is no caller's business; empty if nothing is left."""
    message = message[:LOOKED_AT_CHARACTERS_MAX]
    if MARKUP.search(message):
        return ""
    trace = TRACE.search(message)
    if trace:
        message = message[: trace.start()]
    for secret in target.secrets:
        message = forms_of(secret).sub(REDACTED, message)
    message = DATA_URL.sub("data:…", message)
    for pattern in (URL, GLUED, CREDENTIAL, EMAIL, ACCOUNT_ID):
        message = pattern.sub(REDACTED, message)
    for pattern in (ACCOUNT, NAMED_HOST):
        message = pattern.sub(lambda found: (found[1] or found[2]) + REDACTED, message)
    for pattern, hidden in HIDDEN_IF:
        message = hide(message, pattern, hidden=hidden, model=target.model)
    words = "".join(character if character.isprintable() else " " for character in message).split()
    return shortened(" ".join(words))


@lru_cache(SECRETS_KNOWN_MAX)
def forms_of(secret: str) -> re.Pattern[str]:
    """Return what finds a secret as it is (in any case, if it is long), in base64 beside whatever else, in a URL, or without its middle."""
    whole = secret.encode()
    #: Of three bytes base64 makes four characters: at its ends are those that its neighbours have a part in.
    packed = [b64encode(bytes(before) + whole).decode() for before in range(3)]
    inner = [text[(0, 2, 3)[before] : -4].rstrip("=") for before, text in enumerate(packed)]
    written = [secret, quote(secret, safe=""), *[text for text in inner if len(text) >= PACKED_CHARACTERS_MIN]]
    masked = rf"{re.escape(secret[:3])}[\w-]{{0,60}}(?:\*\*+|…|\.\.\.+)[\w-]{{0,10}}{re.escape(secret[-2:])}"
    flags = re.IGNORECASE if len(secret) >= ANY_CASE_CHARACTERS_MIN else re.NOFLAG
    return re.compile("|".join([*map(re.escape, dict.fromkeys(written)), masked]), flags)


def hide(message: str, pattern: re.Pattern[str], *, hidden: Callable[[str, str], bool], model: str) -> str:
    """Return a message without what a pattern finds in it and `hidden` confirms."""
    return pattern.sub(lambda found: REDACTED if hidden(found[0], model) else found[0], message)


def is_address(text: str, _model: str) -> bool:
    """Tell whether digits and colons are an IPv6 address, with a port or without, or a network card's; a colon may end its sentence."""
    bare = text.lstrip("[").partition("]")[0].partition("%")[0]
    if bare.strip(":") == "" or bare.count(":") < 2:
        return False
    return any(is_ipv6(each) or MAC.fullmatch(each) is not None for each in (bare, bare.removesuffix(":")))


def is_ipv6(text: str) -> bool:
    """Tell whether a text is an address and nothing else."""
    try:
        return ipaddress.ip_address(text).version == 6
    except ValueError:
        return False


def is_machine(text: str, model: str) -> bool:
    """Tell whether a word names a machine: by a port, or by an ending that only inner names have. The model's name may look like one."""
    found = PORT.fullmatch(text)
    name = found[1] if found else text
    if text.casefold() == model.casefold() or name.casefold() in COUNTED or name.isdecimal():
        return False
    return INTERNAL.search(name) is not None or (found is not None and not name[0].isdecimal())


def is_file(text: str, model: str) -> bool:
    """Tell whether a path is one of a machine's files."""
    return text.strip("/") not in model and NO_FILES.match(text) is None


def is_key(text: str, _model: str) -> bool:
    """Tell whether a long run of letters and digits is a credential and not a word or a number."""
    return not text.isdecimal() and not text.isalpha()


#: What a pattern finds is hidden if it is what it looks like, in this order.
HIDDEN_IF: tuple[tuple[re.Pattern[str], Callable[[str, str], bool]], ...] = (
    (PATH, is_file),
    (AWS_NAME, lambda _text, _model: True),
    (COLONS, is_address),
    (IPV4, lambda _text, _model: True),
    (HOST, is_machine),
    (POD, lambda text, model: text not in model),
    (LOCALHOST, lambda _text, _model: True),
    (LONG_RUN, is_key),
)


def shortened(message: str) -> str:
    """Bound a message's length."""
    return message if len(message) <= MESSAGE_CHARACTERS_MAX else message[:MESSAGE_CHARACTERS_MAX] + "…"
