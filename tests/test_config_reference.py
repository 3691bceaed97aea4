"""The configuration's documentation: nothing is missing from it, and what it shows works."""

from __future__ import annotations

from pathlib import Path

import jsonschema
import pytest
import yaml

from aisa.config.checks import RULES
from aisa.config.load import load
from aisa.config.reference import EXAMPLE, groups, json_schema, page
from aisa.config.schema import FIELDS
from aisa.config.section import Section

PAGE = Path(__file__).parent.parent / "docs" / "configuration.md"


def test_every_setting_has_a_sentence_and_every_sentence_a_setting() -> None:
    """FIELDS and the schema name the same settings, and every sentence ends as one."""
    assert sorted(setting.path for group in groups() for setting in group.settings) == sorted(FIELDS)
    assert [meaning for meaning in FIELDS.values() if not meaning.endswith(".") or len(meaning) < 20] == []


def test_every_section_of_the_schema_is_documented() -> None:
    """No section is out of reach of the page, as one would be that only a union names."""
    assert {group.section for group in groups()} == leaves(Section)


def leaves(section: type[Section]) -> set[type[Section]]:
    """Return the sections that no other of the configuration is made of; answers of the admin API may be made of one, too."""
    within = [below for below in section.__subclasses__() if below.__module__.startswith("aisa.config.")]
    return set().union(*[leaves(below) for below in within]) or {section}


def test_every_rule_belongs_to_a_setting() -> None:
    """A rule under a name that no setting has would never be applied."""
    entries = {
        "vendors.<name>.api_keys[]",
        "cors.origins[]",
        "server.trusted_proxies[]",
        "price_catalogues[]",
        "models.<name>.aliases[]",
        "models.<name>.allowed_tiers[]",
        "models.<name>.unsupported_parameters[]",
        "models.<name>.reasoning_efforts[]",
        "limits.vendors.<name>.models.<name>",
        "models.<name>.prices.service_tiers.<name>",
    }
    places = {*FIELDS, *entries, "vendors.<name>", "vendors.<name>.headers.<name>", "vendors.<name>.query.<name>", "models.<name>"}
    places.add("vendors.<name>.price_as.<name>")
    assert set(RULES) <= places


def test_the_page_is_current() -> None:
    """docs/configuration.md is what `python -m aisa.config.reference` prints."""
    assert PAGE.read_text(encoding="utf-8") == page()


def test_the_example_can_be_used_as_it_is(tmp_path: Path) -> None:
    """The page's example is accepted, by the loader and by the JSON Schema, and the page contains it."""
    path = tmp_path / "aisa.yaml"
    path.write_text(EXAMPLE, encoding="utf-8")
    config = load(str(path), {"OPENAI_API_KEY": "k"}, {}).config
    assert list(config.models) == ["fast", "gpt-4.1", "spread"]
    jsonschema.Draft202012Validator(json_schema()).validate(yaml.safe_load(EXAMPLE))
    assert EXAMPLE in page()


def test_the_json_schema_tells_every_setting() -> None:
    """An editor shows each setting's meaning and its default."""
    described = [definition["properties"] for definition in json_schema()["$defs"].values()]  # type: ignore[attr-defined]  # a schema is a dict of anything
    sentences = [spec["description"] for properties in described for spec in properties.values() if "description" in spec]
    assert sorted(sentences) == sorted(FIELDS.values())


@pytest.mark.parametrize(
    ("document", "accepted"),
    [
        ({"server": {"port": 1}}, True),
        ({"server": {"port": "${PORT_NUMBER}"}}, True),
        ({"log": {"format": "${F:-text}"}}, True),
        ({"server": {"port": "80"}}, False),
        ({"server": {"port": 65536}}, False),
        ({"server": {"prot": 1}}, False),
        ({"log": {"format": "xml"}}, False),
        ({"models": {"m": {"prices": {"input": 1, "output": 1}}}}, False),
        ({"models": {"m": ["v/m", {"target": "v/m", "weight": 2}]}}, True),
    ],
)
def test_the_json_schema_judges_as_the_loader_does(document: dict[str, object], *, accepted: bool) -> None:
    """Wrong names, types and bounds are marked in the editor; references are not."""
    assert jsonschema.Draft202012Validator(json_schema()).is_valid(document) is accepted
