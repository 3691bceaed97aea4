"""What a vendor needs of the environment: whoever has set a part of it is told what is missing, by every command that speaks of it."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from aisa.cli.commands import aisa
from aisa.cli.init import beginning
from aisa.config.detect import SPOKEN, detect, lacking
from aisa.config.load import ConfigErrors, load
from aisa.vendors.row import VARIABLE, Row
from aisa.vendors.table import ROWS

CLOUDS = ("AWS_REGION", "AWS_DEFAULT_REGION", "GOOGLE_CLOUD_PROJECT", "GOOGLE_CLOUD_LOCATION", "AZURE_OPENAI_ENDPOINT")
WITHOUT = {"AISA_CONFIG": None, "NO_COLOR": "1", "AISA_DISCOVERY_LOOPBACK": "never", "HOST": None, "PORT": None}
USABLE = [row for row in ROWS.values() if row.dialect in SPOKEN and not row.retired]


def everything_of(row: Row) -> list[dict[str, str]]:
    """Return environments that have all of a vendor, one for each way to prove requests and each variable of its address."""
    places = [place.split("|") for place in VARIABLE.findall(row.base_url)]
    proofs = [(name,) for name in row.key_variables] + ([row.other_proof] if row.other_proof else []) or [()]
    values = {"AZURE_OPENAI_ENDPOINT": "https://r-1.openai.azure.com", "AISA_BASE_URL": "https://gw.example"}
    return [{name: values.get(name, "x-1") for name in (*proof, *chosen)} for proof in proofs for chosen in itertools.product(*places)]


WHOLE = [(row, environment) for row in USABLE for environment in everything_of(row)]
NAMES = [f"{row.name}-{'+'.join(environment)}" for row, environment in WHOLE]


@pytest.mark.parametrize(("row", "environment"), WHOLE, ids=NAMES)
def test_every_part_that_is_missing_is_named_and_nothing_that_is_there(row: Row, environment: dict[str, str]) -> None:
    """[fault P11] Take away any variable: the vendor is not found, and what is said to be lacking makes it whole."""
    assert lacking(row, environment, named=True) == ()
    for gone in environment:
        rest = {name: value for name, value in environment.items() if name != gone}
        missing = lacking(row, rest, named=row.named_only)
        address = row.address(rest)
        if row.sign is not None or not missing:
            assert not address.missing  # a server of one's own needs no key, and Vertex's place is global where none is said
            continue
        assert row.name not in detect(rest)
        named = {name for each in missing for name in re.findall(r"[A-Z][A-Z0-9_]+", each)}
        assert gone in named
        assert not named & rest.keys()


@pytest.mark.parametrize(("row", "environment"), WHOLE, ids=NAMES)
def test_the_file_that_is_begun_is_what_was_found(row: Row, environment: dict[str, str], tmp_path: Path) -> None:
    """`aisa init`: with the same way to prove requests, in the same header, and no value of the environment in it but the address."""
    path = tmp_path / "aisa.yaml"
    path.write_text(beginning(environment), encoding="utf-8")
    found = load(None, environment, {}).config.vendors
    assert load(str(path), {**environment, "AISA_DISCOVERY_LOOPBACK": "never"}, {}).config.vendors == found
    assert (row.name in found) is (row.name in detect(environment))


def run(folder: Path, monkeypatch: pytest.MonkeyPatch, *arguments: str, **environment: str) -> Any:
    """Run a command in a folder with no more of any vendor in the environment than this."""
    monkeypatch.chdir(folder)
    names = [name for row in ROWS.values() for name in (*row.key_variables, *row.other_proof, row.base_url_variable) if name]
    clean = dict.fromkeys((*names, *CLOUDS))
    return CliRunner().invoke(aisa, arguments, env={**clean, **WITHOUT, **environment}, prog_name="aisa")


@pytest.mark.parametrize(
    ("environment", "needs", "lacks"),
    [
        ({"AWS_BEARER_TOKEN_BEDROCK": "k"}, "# Amazon Bedrock: needs AWS_REGION or AWS_DEFAULT_REGION in", "bedrock"),
        ({"AWS_REGION": "eu-west-1"}, "# Amazon Bedrock: has its variables in the environment, and what AWS's own clients take", None),
        ({"AZURE_OPENAI_API_KEY": "k"}, "# Azure OpenAI: needs AZURE_OPENAI_ENDPOINT in", "azure"),
        (
            {"AZURE_TENANT_ID": "t", "AZURE_CLIENT_ID": "c", "AZURE_OPENAI_ENDPOINT": "https://r.openai.azure.com"},
            "# Azure OpenAI: needs AZURE_OPENAI_API_KEY (or AZURE_CLIENT_SECRET) in",
            None,
        ),
        ({}, "# Vertex AI: needs GOOGLE_CLOUD_PROJECT in the environment, and what Google's own clients take", None),
        ({}, "# DashScope (Qwen): needs DASHSCOPE_API_KEY in the environment, DASHSCOPE_API_BASE for a key of another region", None),
        ({"HF_TOKEN": "t"}, "# Hugging Face router: has its variables in the environment", None),
        ({}, "# vLLM: where VLLM_API_BASE says, else looked for at 127.0.0.1:8000", None),
    ],
    ids=["bedrock", "bedrock's region", "azure", "azure's application", "vertex", "dashscope", "huggingface", "vllm"],
)
def test_a_vendor_that_is_half_there_is_told_what_it_lacks(
    environment: dict[str, str], needs: str, lacks: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """[fault P11] In the file that is begun; and where a key is set in vain, by `init`, `config check` and at the start, too."""
    began = run(tmp_path, monkeypatch, "init", **environment)
    assert needs in (tmp_path / "aisa.yaml").read_text()
    checked = run(tmp_path, monkeypatch, "config", "check", **environment)
    assert checked.exit_code == 0
    for said in (began.output, checked.output):
        assert (f"vendors.{lacks}" in said) is (lacks is not None)
    listed = run(tmp_path, monkeypatch, "vendors", **environment).output
    assert not re.search(rf"set [^\n]*\b({'|'.join(environment) or 'NONE'})\b", listed)


@pytest.mark.parametrize(
    "row", [row for row in USABLE if row.key_variables and row.proved_by != "aws" and not row.sign], ids=lambda row: row.name
)
def test_an_entry_that_no_key_can_prove_is_refused(row: Row, tmp_path: Path) -> None:
    """[fault P11] Its vendor takes no call without one; whoever proves requests by a header or in the query is believed."""
    environment = {name: "https://x.example" for place in VARIABLE.findall(row.base_url) for name in place.split("|")}
    path = tmp_path / "aisa.yaml"
    path.write_text(f"vendors: {{mine: {{preset: {row.name}}}}}", encoding="utf-8")
    with pytest.raises(ConfigErrors) as raised:
        load(str(path), environment, {})
    (problem,) = raised.value.problems
    assert problem.where.startswith("vendors.mine.api_key")
    assert row.key_variables[0] in problem.what
    for proof in ("api_key: k", "headers: {x-key: k}", "query: {key: k}"):
        path.write_text(f"vendors: {{mine: {{preset: {row.name}, {proof}}}}}", encoding="utf-8")
        assert list(load(str(path), environment, {}).config.vendors) == ["mine"]


HOSTED = [row for row in USABLE if row.sign is None and "{" not in row.base_url.partition("://")[2].partition("/")[2]]


@pytest.mark.parametrize("row", HOSTED, ids=lambda row: row.name)
def test_an_address_without_its_path_is_told_with_the_whole_one(row: Row, tmp_path: Path) -> None:
    """[fault P11] Where nothing is at the top of a vendor's host every call would be a 404; where clients add the rest, so do we."""
    environment = {
        "AZURE_OPENAI_ENDPOINT": "https://r-1.openai.azure.com",
        "AWS_REGION": "eu-west-1",
        "AISA_BASE_URL": "https://gw.example/v1",
    }
    usual = row.address(environment).base_url
    top = "/".join(usual.split("/")[:3])
    path = tmp_path / "aisa.yaml"
    path.write_text(f"vendors: {{mine: {{base_url: '{usual}', dialect: {row.dialect}, api_key: k}}}}", encoding="utf-8")
    assert load(str(path), {}, {}).config.vendors["mine"].base_url == usual
    path.write_text(f"vendors: {{mine: {{base_url: '{top}/', dialect: {row.dialect}, api_key: k}}}}", encoding="utf-8")
    if row.top or row.base_url == "{AISA_BASE_URL}" or usual == top or row.dialect == "anthropic":
        assert load(str(path), {}, {}).config.vendors["mine"].base_url in (top, usual)
        return
    with pytest.raises(ConfigErrors) as raised:
        load(str(path), {}, {})
    (problem,) = raised.value.problems
    assert (problem.where.split(" ")[0], problem.remedy) == ("vendors.mine.base_url", f"Write {usual}.")
