"""The admin API's OpenAPI document as a judge of answers: whether each is one that the document has for its route. Asks nothing."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from typing import Any

from jsonschema import Draft202012Validator, ValidationError
from jsonschema.validators import extend

Json = dict[str, Any]


class AdminDocument:
    """Judges answers by a document, and more strictly than it says: a member that it does not have is one too many.

    `seen` are the schemas that some answer so far was found to be of, `answered` the routes with a good answer.
    """

    def __init__(self, document: Json) -> None:
        document = copy.deepcopy(document)
        self._paths: Json = document["paths"]
        self._schemas: Json = document["components"]["schemas"]
        for schema in self._schemas.values():
            if "properties" in schema:
                schema.setdefault("additionalProperties", False)
        self._document = document
        self._judge = extend(Draft202012Validator, {"title": self._note})
        self.seen: set[str] = set()
        self.answered: set[str] = set()

    def problems(self, method: str, path: str, status: int, body: object) -> list[str]:
        """Return what is wrong with an answer to a request, whose path is one of the document."""
        told = self._paths[path][method.lower()]["responses"]
        schema = told.get(str(status), told["default"] if status >= 400 else None)
        if schema is None:
            return [f"{method} {path} is not said to answer with {status}"]
        whole = {**self._document, **schema["content"]["application/json"]["schema"]}
        found = [f"{method} {path} {status}: at {error.json_path}: {error.message[:300]}" for error in self._judge(whole).iter_errors(body)]
        if status < 400 and not found:
            self.answered.add(f"{method} {path}")
        return found

    def answers(self) -> set[str]:
        """Return the names of all schemas that an answer may be of, whole or in part."""
        reached: set[str] = set()
        waiting: list[object] = [
            answer["content"] for methods in self._paths.values() for told in methods.values() for answer in told["responses"].values()
        ]
        while waiting:
            named = set(re.findall(r"'#/components/schemas/(\w+)'", str(waiting.pop()))) - reached
            reached |= named
            waiting += [self._schemas[name] for name in named]
        return reached

    def _note(self, _judge: object, title: str, instance: object, _schema: object) -> Iterator[ValidationError]:
        """Keep that a part of an answer is of a schema, if it is an object at all: null is of none."""
        if isinstance(instance, dict):
            self.seen.add(title)
        return iter(())
