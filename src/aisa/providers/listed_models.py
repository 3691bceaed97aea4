"""A vendor's own list of its models: how it is asked for in each dialect and what it says. Sans-IO."""

from __future__ import annotations

from typing import cast
from urllib.parse import quote

import msgspec

from aisa.names import MODEL_NAME_CHARACTERS_MAX
from aisa.providers.anthropic import VERSION
from aisa.providers.port import ABOVE, UpstreamRequest
from aisa.wire.trees import Tree, as_tree, is_list

PREFIX = "models/"  # Gemini lists its names with it and takes them without
NAMES_MAX = 5_000  # of a list that are kept; the longest real ones have some 700
PAGES_MAX = 20  # that are asked for: a vendor that gives 250 at a time has reached NAMES_MAX by then
CURSOR_CHARACTERS_MAX = 2_048  # of what names the next page, which stands in an address
#: Members that name the next page, and how it is asked for: Cohere's and Google's.
CURSORS = {"next_page_token": "page_token", "nextPageToken": "pageToken"}
#: Where the list is: these vendors send pages of it, and this many at most at once. Cohere has it in the first version of its API alone.
PATHS = {"anthropic": "/models?limit=1000", "cohere": f"{ABOVE}/v1/models?page_size=1000", "gemini": "/models?pageSize=1000"}
ENDPOINTS = ("chat", "embed", "rerank")  # of Cohere's that are asked here
EMPTY = {"object": "list", "data": None}  # as Ollama writes a list of nothing
HEADERS = {"anthropic": (("anthropic-version", VERSION),)}


def models_request(dialect: str, headers: tuple[tuple[str, str], ...]) -> UpstreamRequest:
    """Return the request for the list. `headers` are those that every request to the vendor has."""
    told = (("accept", "application/json"), *HEADERS.get(dialect, ()), *headers)
    return UpstreamRequest(path=PATHS.get(dialect, "/models"), headers=told, body=b"", method="GET")


class Listing:
    """The list of one vendor while it is asked for, page by page: `request` is for the next one, None when no more is asked for.

    `names` are those of the models so far, None as long as the vendor has not said. A page that fails ends the list (`broken`), and so
    does one that says nothing new, as of a vendor that does not understand how the next is asked for.
    """

    def __init__(self, dialect: str, headers: tuple[tuple[str, str], ...]) -> None:
        self.names: list[str] | None = None
        self.broken = False
        self.request: UpstreamRequest | None = models_request(dialect, headers)
        self._first = self.request
        self._dialect = dialect
        self._pages = 0

    def take(self, status: int, body: bytes) -> None:
        """Take the answer to `request`."""
        document = read_document(body) if status == 200 else None
        names, known = names_in(document), self.names or []
        self._pages += 1
        self.request = None
        self.broken = names is None
        if names is None:
            return
        self.names = list(dict.fromkeys([*known, *names]))[:NAMES_MAX]
        more = next_page(as_tree(document), self._dialect)
        # Of Gemini's and Cohere's, a whole page may be of models that are not asked here.
        fresh = len(self.names) > len(known) or not names
        if more and fresh and self._pages < PAGES_MAX and len(self.names) < NAMES_MAX:
            path = self._first.path
            self.request = msgspec.structs.replace(self._first, path=f"{path}{'&' if '?' in path else '?'}{more}")


def next_page(document: Tree, dialect: str) -> str:
    """Return how the next page of a list is asked for, nothing if this was the last."""
    cursors = [(CURSORS[name], document[name]) for name in CURSORS if name in document]
    if document.get("has_more") is True:
        cursors.append(("after_id" if dialect == "anthropic" else "after", document.get("last_id")))
    fit = [
        f"{name}={quote(value, safe='')}" for name, value in cursors if isinstance(value, str) and 0 < len(value) <= CURSOR_CHARACTERS_MAX
    ]
    return fit[0] if fit else ""


def read_document(body: bytes) -> object:
    """Return what a body says, None where it is no JSON."""
    try:
        return cast("object", msgspec.json.decode(body))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def names_in(tree: object) -> list[str] | None:
    """Return the names in a list, None for what is none.

    Lists come as `data` (OpenAI and most), as `models` (Gemini, Ollama, Cohere) or bare (Together); a name is an `id` or else a `name`.
    """
    if isinstance(tree, dict):
        whole = cast("dict[str, object]", tree)
        tree = whole["data"] if "data" in whole else whole.get("models") or None
        if whole == EMPTY:
            return []
    if not isinstance(tree, list):
        return None
    entries = [cast("dict[str, object]", entry) for entry in cast("list[object]", tree) if isinstance(entry, dict)]
    if tree and not entries:
        return None
    named = [entry.get("id", entry.get("name")) for entry in entries if _answers(entry)]
    names = [name.removeprefix(PREFIX) for name in named if isinstance(name, str)]
    fit = [name for name in names if 0 < len(name) <= MODEL_NAME_CHARACTERS_MAX and name.isprintable() and name == name.strip()]
    return list(dict.fromkeys(fit))[:NAMES_MAX]


def _answers(entry: dict[str, object]) -> bool:
    """Say whether a listed model may be asked, as far as its list says what it does: Gemini's has such as make embeddings alone."""
    methods, endpoints = entry.get("supportedGenerationMethods"), entry.get("endpoints")
    if is_list(endpoints):
        return any(name in ENDPOINTS for name in endpoints)
    return not is_list(methods) or "generateContent" in methods
