"""JSON Schema in the form that Gemini takes: `const` and what stands beside a `$ref` have none there. Judges no schema."""

from __future__ import annotations

from aisa.wire.trees import Tree, is_list, is_tree

#: Members whose values are schemas by name; a property may be called `const`.
BY_NAME = frozenset({"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"})
#: Members whose values are data.
DATA = frozenset({"enum", "default", "examples", "example", "required", "propertyOrdering"})


def gemini_schema(schema: object) -> object:
    """Return a schema, and those inside it, as Gemini takes them; the order of members stays."""
    if is_list(schema):
        return [gemini_schema(item) for item in schema]
    if not is_tree(schema):
        return schema
    if "$ref" in schema:
        return {name: value for name, value in schema.items() if name.startswith("$") and name != "$schema"}
    fitted: Tree = {}
    for name, value in schema.items():
        if name in BY_NAME and is_tree(value):
            fitted[name] = {key: gemini_schema(inner) for key, inner in value.items()}
        elif name in DATA:
            fitted[name] = value
        elif name == "const":
            if "enum" not in schema:
                fitted["enum"] = [value]
        elif name != "$schema":
            fitted[name] = gemini_schema(value)
    return fitted
