"""Pictures, sound and files of a chat as Gemini's parts: the data itself, or the address of what Google can reach. Fetches nothing."""

from __future__ import annotations

import re

from aisa.errors import UpstreamFailed
from aisa.providers.concessions import Concessions
from aisa.providers.fetched import FETCHES_MAX, Fetches
from aisa.providers.malformed import malformed
from aisa.providers.named_types import type_by_name
from aisa.wire.addresses import is_web_address
from aisa.wire.gemini_chat import OF_GOOGLE
from aisa.wire.trees import Tree, is_tree

DATA_URL = re.compile(r"data:(?P<type>[\w.+-]{1,60}/[\w.+-]{1,100})(?:;[\w.=+-]{1,60})*;base64,", re.ASCII)
SOUNDS = {"wav": "audio/wav", "mp3": "audio/mp3", "pcm16": "audio/l16", "flac": "audio/flac", "ogg": "audio/ogg", "aac": "audio/aac"}


class Media:
    """What the media of one request are written with."""

    def __init__(self, concessions: Concessions, fetches: Fetches, *, addresses: bool) -> None:
        """`addresses`: Google reads files at those for this model."""
        self.concessions = concessions
        self.fetches = fetches
        self.addresses = addresses


def media_of(given: object, param: str, media: Media) -> Tree:
    """Return the part for a picture or a film, by its address. Raises UpstreamFailed."""
    url = given.get("url") if is_tree(given) else given
    if not isinstance(url, str) or not url:
        raise malformed(param, f"The picture at {param} has no URL.")
    return part_at(url, param, media)


def part_at(url: str, param: str, media: Media) -> Tree:
    """Return the part for what stands at an address. Raises UpstreamFailed."""
    found = DATA_URL.match(url)
    if found is not None:
        return {"inlineData": {"mimeType": found["type"], "data": url[found.end() :]}}
    if url.startswith("data:"):
        raise malformed(param, f"The data URL at {param} is not of the form data:TYPE;base64,DATA.")
    if OF_GOOGLE.match(url):
        kind = type_by_name(url.partition("?")[0])
        return {"fileData": {**({"mimeType": kind} if kind else {}), "fileUri": url}}
    if not media.fetches.wanted or (len(media.fetches.urls) >= FETCHES_MAX and url not in media.fetches.urls):
        raise no_bytes(param, media)
    kind_of, data_of = media.fetches.add(url)
    return {"inlineData": {"mimeType": kind_of, "data": data_of}}


def no_bytes(param: str, media: Media) -> UpstreamFailed:
    """Return the refusal of an address that somebody would have to read for Gemini."""
    many = f", and this server reads {FETCHES_MAX} for it at most" if media.fetches.wanted else ""
    why = f"it takes the bytes of a picture and not its address{many}. Send a data URL: data:image/png;base64,..."
    return media.concessions.refusal(param, why)


def sound_of(given: object, param: str) -> Tree:
    """Return the part for sound. Raises UpstreamFailed."""
    data, form = (given.get("data"), given.get("format")) if is_tree(given) else (None, None)
    if not isinstance(data, str) or not data:
        raise malformed(param, f"The sound at {param} has no data.")
    return {"inlineData": {"mimeType": SOUNDS.get(str(form), f"audio/{form or 'wav'}"), "data": data}}


def file_of(given: object, param: str, media: Media) -> Tree:
    """Return the part for a file: its data, or an address that Google knows. Raises UpstreamFailed."""
    tree = given if is_tree(given) else {}
    data, file_id = tree.get("file_data"), tree.get("file_id")
    if isinstance(data, str) and data:
        named = type_by_name(str(tree.get("filename") or ""))
        if media.addresses and data[:8].lower() == "https://" and not (media.fetches.wanted or OF_GOOGLE.match(data)):
            return {"fileData": {"mimeType": named or type_by_name(data.partition("?")[0]) or "application/pdf", "fileUri": data}}
        if is_web_address(data) or data.startswith(("data:", "gs://")):
            return part_at(data, param, media)
        kind = named or "application/pdf"
        return {"inlineData": {"mimeType": kind, "data": data}}
    if isinstance(file_id, str) and OF_GOOGLE.match(file_id):
        return part_at(file_id, param, media)
    if file_id:
        raise media.concessions.refusal(param, "it was uploaded to another vendor; send its data in 'file_data'")
    raise malformed(param, f"The file at {param} has neither 'file_data' nor 'file_id'.")
