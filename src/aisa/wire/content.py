"""What the input of a call amounts to in tokens where no vendor says it: its text by bytes, pictures, sound and pages by fixed figures.

The figures are in `docs/billing.md`. Of a picture only the head is read, for its size; nothing is decoded and nothing fetched.
"""

from __future__ import annotations

import re
from base64 import b64decode
from binascii import Error as NotBase64
from math import ceil

import msgspec

from aisa.usage import BYTES_PER_TOKEN

PICTURE_TOKENS = 765  # of a picture whose size or vendor is not known: what OpenAI's models make of 1,024 x 1,024
PAGE_TOKENS = 800  # of a file, by page
SOUND_TOKENS_PER_SECOND = 10  # OpenAI's figure; Gemini's is in FORMULAS
FILE_BYTES_PER_PAGE = 50_000  # of a file whose pages are not counted: a page of text with a picture
SOUND_BYTES_PER_SECOND = 16_000  # of compressed sound: 128 kbit/s
VIDEO_TOKENS_PER_SECOND = 300  # Gemini's figure: a picture a second, and its sound
VIDEO_BYTES_PER_SECOND = 250_000  # of compressed video: 2 Mbit/s
SECONDS_ELSEWHERE = 10.0  # of sound or video of which only the address is known
INPUT_TOKENS_MAX = 2_000_000  # where the model's window is not known: no window is larger
HEAD_CHARACTERS = 65_536  # of a picture's base64 that are looked at: the size of a JPEG stands behind what cameras write first


class Picture(msgspec.Struct, frozen=True):
    """A picture in pixels, 0 where that is not known."""

    width: int = 0
    height: int = 0
    low: bool = False  # `detail: low`


class Content(msgspec.Struct, frozen=True):
    """What a request holds: bytes of text as UTF-8, pictures, seconds of sound and of video, pages of files."""

    text_bytes: int
    pictures: tuple[Picture, ...] = ()
    sound_seconds: float = 0.0
    pages: int = 0
    video_seconds: float = 0.0
    windows: int = 1  # how many context windows it may fill: one for each text that the model reads by itself


def input_tokens(content: Content, model: str, window: int | None = None, *, text_tokens: int | None = None) -> int:
    """Return the tokens of an input: rounded up once, and never more than fit the model's context window, or its windows.

    `text_tokens` are those of its text, where somebody could count them.
    """
    tokens = -(-content.text_bytes // BYTES_PER_TOKEN) if text_tokens is None else text_tokens
    if content.pictures or content.sound_seconds or content.pages or content.video_seconds:
        per_second = 32 if "gemini" in model.lower() else SOUND_TOKENS_PER_SECOND
        tokens += sum([picture_tokens(picture, model) for picture in content.pictures])
        tokens += ceil(content.sound_seconds * per_second) + content.pages * PAGE_TOKENS
        tokens += ceil(content.video_seconds * VIDEO_TOKENS_PER_SECOND)
    most = (INPUT_TOKENS_MAX if window is None else window) * content.windows
    return min(tokens, most)


def picture_tokens(picture: Picture, model: str) -> int:
    """Return the tokens of a picture, by the formula that the model's vendor documents; a fixed number where there is none."""
    known = model.lower()
    for names, (tile, *figures) in FORMULAS:
        if names(known):
            return tile(picture, *figures)
    return PICTURE_TOKENS


def by_tiles(picture: Picture, floor: int, per_tile: int) -> int:
    """Return OpenAI's figure: within 2,048 x 2,048, the shorter side at 768, in tiles of 512."""
    if picture.low:
        return floor
    width, height = within(picture.width or 1_024, picture.height or 1_024, 2_048)
    scale = min(1.0, 768 / max(1, min(width, height)))
    return floor + per_tile * ceil(width * scale / 512) * ceil(height * scale / 512)


def by_patches(picture: Picture, percent: int) -> int:
    """Return OpenAI's figure for smaller models: patches of 32 x 32, at most 1,536, times a factor."""
    patches = ceil((picture.width or 1_024) / 32) * ceil((picture.height or 1_024) / 32)
    return ceil(min(patches, 1_536) * percent / 100)


def by_area(picture: Picture, pixels_per_token: int, most: int) -> int:
    """Return Anthropic's figure: the area, of a picture that is made to fit."""
    width, height = within(picture.width or 1_024, picture.height or 1_024, 1_568)
    return min(most, ceil(width * height / pixels_per_token))


def by_squares(picture: Picture, per_square: int, side: int) -> int:
    """Return Gemini's figure: one square for a small picture, else squares of 768."""
    width, height = picture.width or 1_024, picture.height or 1_024
    return per_square if max(width, height) <= 384 else per_square * ceil(width / side) * ceil(height / side)


def within(width: int, height: int, most: int) -> tuple[float, float]:
    """Return a size shrunk so that neither side is longer than that."""
    scale = min(1.0, most / max(width, height))
    return width * scale, height * scale


#: Which models -> whose formula, and its figures. The first that fits holds.
FORMULAS = (
    (re.compile(r"gpt-4o-mini").search, (by_tiles, 2_833, 5_667)),
    (re.compile(r"gpt-4\.1-mini|gpt-5(\.\d)?-mini").search, (by_patches, 162)),
    (re.compile(r"gpt-4\.1-nano|gpt-5(\.\d)?-nano").search, (by_patches, 246)),
    (re.compile(r"o4-mini").search, (by_patches, 172)),
    (re.compile(r"gpt-5").search, (by_tiles, 70, 140)),
    (re.compile(r"gpt-4").search, (by_tiles, 85, 170)),
    (re.compile(r"(^|/)o[13]\b").search, (by_tiles, 75, 150)),
    (re.compile(r"claude").search, (by_area, 750, 1_600)),
    (re.compile(r"gemini").search, (by_squares, 258, 768)),
)


def picture_of(url: str, detail: str | None) -> Picture:
    """Return what is known of a picture from its address, or from the head of the data that the address holds."""
    low = detail == "low"
    head, found, data = url[: HEAD_CHARACTERS + 100].partition(";base64,")
    if not found or not head.startswith("data:"):
        return Picture(low=low)
    width, height = size_of(first_bytes(data[:HEAD_CHARACTERS]))
    return Picture(width, height, low) if width and height else Picture(low=low)


def first_bytes(data: str) -> bytes:
    """Return the bytes of whole groups of base64; none if it is not base64."""
    try:
        return b64decode(data[: len(data) // 4 * 4])
    except (NotBase64, ValueError):
        return b""


def size_of(head: bytes) -> tuple[int, int]:
    """Return width and height of a PNG, GIF, WebP or JPEG in pixels, zeros where they cannot be told."""
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return int.from_bytes(head[16:20]), int.from_bytes(head[20:24])
    if head[:4] == b"GIF8":
        return int.from_bytes(head[6:8], "little"), int.from_bytes(head[8:10], "little")
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return webp_size(head)
    return jpeg_size(head) if head[:2] == b"\xff\xd8" else (0, 0)


def webp_size(head: bytes) -> tuple[int, int]:
    """Return the size of a WebP, of whichever of its three kinds."""
    kind = head[12:16]
    if kind == b"VP8X":
        return int.from_bytes(head[24:27], "little") + 1, int.from_bytes(head[27:30], "little") + 1
    if kind == b"VP8L":
        bits = int.from_bytes(head[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    return int.from_bytes(head[26:28], "little") & 0x3FFF, int.from_bytes(head[28:30], "little") & 0x3FFF


def jpeg_size(head: bytes) -> tuple[int, int]:
    """Return the size of a JPEG, which stands in the first of its segments that begins a frame."""
    place = 2
    while place + 9 <= len(head) and head[place] == 0xFF:
        marker = head[place + 1]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return int.from_bytes(head[place + 7 : place + 9]), int.from_bytes(head[place + 5 : place + 7])
        place += 2 + max(2, int.from_bytes(head[place + 2 : place + 4]))
    return 0, 0


def sound_seconds(data: str) -> float:
    """Return how long sound lasts that is given as base64: a WAV by its own figures, anything else by its size."""
    head = first_bytes(data[:64])
    per_second = int.from_bytes(head[28:32], "little") if head[:4] == b"RIFF" and head[8:12] == b"WAVE" else 0
    return len(data) * 3 / 4 / max(per_second or SOUND_BYTES_PER_SECOND, 1_000)


def seconds_at(url: str, *, video: bool = False) -> float:
    """Return how long sound or video lasts that has an address, which may hold its data."""
    _, found, data = url.partition(";base64,")
    if not found or not url.startswith("data:"):
        return SECONDS_ELSEWHERE
    return len(data) * 3 / 4 / VIDEO_BYTES_PER_SECOND if video else sound_seconds(data)


def pages_of(data: str) -> int:
    """Return how many pages a file is taken for that is given as base64."""
    return max(1, ceil(len(data) * 3 / 4 / FILE_BYTES_PER_PAGE))
