"""What is said of a secret that no key has. Looks nothing up."""

from __future__ import annotations

from aisa.errors import ApiError
from aisa.keys import rules


def unknown_secret(secret: str) -> ApiError:
    """Return the error for a secret that leads to no key."""
    if secret.startswith(rules.ADMIN_PREFIX):
        return ApiError("invalid_api_key", "This is an admin key: it is for /admin/v1, and good for no call.")
    if (told := several(secret)) is not None:
        return told
    if secret.startswith(rules.PREFIX) and not rules.is_well_formed(secret):
        return ApiError("invalid_api_key", "The API key is mistyped or cut: its checksum does not fit. Copy it again, whole.")
    words = "The API key is not one of this server's. Whoever runs it makes one: `aisa keys create LABEL`; a vendor's own key is none."
    return ApiError("invalid_api_key", words)


def several(secret: str) -> ApiError | None:
    """Return the error for keys that came as one, with commas between, as a header is that came twice. None for one key."""
    if "," not in secret:
        return None
    words = (
        "Several keys came: the header with the key is there twice, or has several values. Send one, `Authorization: Bearer <your key>`."
    )
    return ApiError("invalid_api_key", words)
