"""A form as its page shows it: what is in its fields, and which one is wrong. Judges nothing; it shows again what was refused."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from aisa.errors import ApiError

#: What the admin API calls that stands in another field of a form.
FIELDS = {"spend_cap": "cap", "account": "name"}


class Form(msgspec.Struct, frozen=True):
    """A form: what was `sent` in it and refused, field by field, and why; nothing of one that nobody has sent."""

    sent: Mapping[str, str] | None = None
    error: ApiError | None = None

    @property
    def wrong(self) -> str | None:
        """The name of the field that it was refused for, None if it was for none of its fields, or was not refused."""
        if self.sent is None or self.error is None or self.error.param is None:
            return None
        member = self.error.param.partition("[")[0]
        return next((name for name in (member, FIELDS.get(member)) if name in self.sent), None)

    @property
    def whole(self) -> str | None:
        """Why it was refused, if that is about none of its fields."""
        return None if self.error is None or self.wrong is not None else self.error.message

    def value(self, name: str, known: str | int | None = "") -> str:
        """Return what is to stand in a field: what was typed there, else what is `known`."""
        return str(known or "") if self.sent is None else self.sent.get(name, "")

    def said(self, name: str) -> str | None:
        """Return what is wrong with a field, None if it is not the one."""
        return self.error.message if self.error is not None and self.wrong == name else None


NOT_SENT = Form()
