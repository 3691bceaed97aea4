"""The words in which `openapi_document.py` writes schemas. Knows nothing of what they describe."""

from __future__ import annotations

from typing import Any

Document = dict[str, Any]


def ref(name: str) -> Document:
    """Refer to a component."""
    return {"$ref": f"#/components/schemas/{name}"}


def json_body(schema: Document) -> Document:
    """A JSON media type."""
    return {"application/json": {"schema": schema}}


def object_of(properties: Document, required: list[str] | None = None) -> Document:
    """An object schema with all members required unless said otherwise."""
    return {"type": "object", "properties": properties, "required": required if required is not None else list(properties)}


def nullable(kind: str) -> Document:
    """A type or null."""
    return {"type": [kind, "null"]}


def list_of(items: Document, *, least: int = 0) -> Document:
    """An array of such items, `least` of them at least."""
    return {"type": "array", "items": items} | ({"minItems": least} if least else {})


def or_null(schema: Document) -> Document:
    """A schema or null."""
    return {"anyOf": [schema, {"type": "null"}]}
