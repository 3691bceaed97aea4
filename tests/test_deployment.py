"""What is in `deploy/` and the Containerfile keeps the rules of `docs/deploying.md`."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from aisa.config.load import PATH_VARIABLE, VARIABLES, load
from aisa.config.schema import Config
from aisa.edge.app import ROUTES
from aisa.stopping import STOP_SECONDS_MAX
from aisa.storage.running import RUNTIME_VARIABLE
from aisa.vendors.table import ROWS

ROOT = Path(__file__).parent.parent
DEPLOY = ROOT / "deploy"
DRAIN = Config().server.drain_grace_seconds + Config().server.drain_seconds
EXPOSURE_MAX = 2.0  # of 10, by systemd's own measure; 1.6 in November 2026


def units(folder: Path) -> list[Path]:
    """The units, with a program and a user that every machine has, as systemd looks for both."""
    texts = {name: (DEPLOY / "systemd" / name).read_text("utf-8") for name in ("aisa.service", "aisa.socket")}
    texts["aisa.service"] = re.sub(r"/opt/aisa/bin/aisa\b", "/bin/true", texts["aisa.service"]).replace(
        "=aisa\nGroup=aisa", "=root\nGroup=root"
    )
    for name, text in texts.items():
        (folder / name).write_text(text, "utf-8")
    return [folder / name for name in texts]


def compose() -> dict[str, Any]:
    """The compose file; YAML itself merges what its services share."""
    document: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))
    return document


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not here")
def test_systemd_takes_the_units_and_finds_little_that_they_expose(tmp_path: Path) -> None:
    """A misspelt word in a unit is a line of systemd's; each right that is not taken away raises its measure."""
    verified = subprocess.run(["systemd-analyze", "verify", *map(str, units(tmp_path))], capture_output=True, text=True, check=False)
    assert (verified.returncode, verified.stderr) == (0, "")
    asked = ["systemd-analyze", "security", "--offline=true", "--no-pager", str(tmp_path / "aisa.service")]
    said = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
    exposure = re.search(r"exposure level for aisa.service: ([\d.]+)", said)
    assert exposure is not None, said
    assert float(exposure[1]) < EXPOSURE_MAX


def test_whoever_stops_the_server_waits_longer_than_it_takes_to_go() -> None:
    """systemd, compose and Kubernetes kill what is still there after their time: never before both drains and the end beyond.

    Of that `test_going_away.py` sees what it takes while a database hangs.
    """
    unit = (DEPLOY / "systemd" / "aisa.service").read_text("utf-8")
    stop = re.search(r"^TimeoutStopSec=(\d+)$", unit, re.MULTILINE)
    assert stop is not None
    assert int(stop[1]) > DRAIN + STOP_SECONDS_MAX
    for name in ("aisa-1", "aisa-2"):
        assert int(compose()["services"][name]["stop_grace_period"].removesuffix("s")) > DRAIN + STOP_SECONDS_MAX
    grace = r"terminationGracePeriodSeconds: {{ add \(ceil \$server.drain_grace_seconds\) \(ceil \$server.drain_seconds\) (\d+) }}"
    beyond = re.search(grace, chart("statefulset.yaml"))  # of what is in aisa.yaml, be it said by the chart's own values or by `config`
    assert beyond is not None
    assert int(beyond[1]) > STOP_SECONDS_MAX
    page, composed = ((ROOT / name).read_text("utf-8") for name in ("docs/deploying.md", "deploy/compose.yaml"))
    for text in (unit, composed, chart("statefulset.yaml"), page):
        assert f"{STOP_SECONDS_MAX:g} s" in text


def test_a_replica_is_out_of_the_balance_before_it_stops_taking_calls() -> None:
    """The chart's grace is longer than its failed readiness checks, their interval and a second."""
    probe = re.search(r"readinessProbe:.*?periodSeconds: (\d+).*?failureThreshold: (\d+)", chart("statefulset.yaml"), re.DOTALL)
    assert probe is not None
    values = yaml.safe_load((DEPLOY / "helm/aisa/values.yaml").read_text("utf-8"))
    assert values["drain"]["graceSeconds"] > int(probe[1]) * int(probe[2]) + 1


def chart(name: str) -> str:
    """A template of the chart, as it is written."""
    return (DEPLOY / "helm/aisa/templates" / name).read_text("utf-8")


def test_each_replica_has_a_data_folder_of_its_own_and_a_root_that_is_read_only() -> None:
    """A journal belongs to one server: in compose two replicas name two volumes, in the chart each claims one."""
    services = compose()["services"]
    replicas = [service for service in services.values() if service.get("image") == "aisa:local"]
    folders = [volume for service in replicas for volume in service["volumes"]]
    assert len(replicas) == 2
    assert len(set(folders)) == len(folders) == 2
    assert all(folder.endswith(":/data") and service["read_only"] for folder, service in zip(folders, replicas, strict=True))
    assert "kind: StatefulSet" in chart("statefulset.yaml")
    assert "volumeClaimTemplates" in chart("statefulset.yaml")
    assert "readOnlyRootFilesystem: true" in chart("statefulset.yaml")


def test_the_proxy_of_the_compose_file_is_the_one_that_is_tested() -> None:
    """Its `server` is that of the recipe which `make proxies` runs, to the letter."""
    ours, recipe = (Path(DEPLOY / name).read_text("utf-8") for name in ("nginx/aisa.conf", "proxies/nginx.conf"))
    assert ours.partition("\nserver {")[2] == recipe.partition("\nserver {")[2] != ""


def test_the_image_runs_as_nobody_special_and_installs_only_what_is_locked() -> None:
    """Its user is a number (Kubernetes cannot tell whether a name is root), and every installation from an index names hashes."""
    text = (ROOT / "Containerfile").read_text("utf-8").replace("\\\n", " ")
    assert re.findall(r"^USER (\S+)$", text, re.MULTILINE) == ["10001"]
    installations = [line for line in re.split(r"&&|\n", text) if "pip install" in line]
    assert len(installations) == 3
    assert all("--require-hashes" in line or "--no-index" in line for line in installations)


def test_the_values_of_the_chart_are_those_that_its_schema_knows() -> None:
    """A value without a line in the schema would be refused at every installation, and one without a value read as nothing."""
    values = yaml.safe_load((DEPLOY / "helm/aisa/values.yaml").read_text("utf-8"))
    schema = json.loads((DEPLOY / "helm/aisa/values.schema.json").read_text("utf-8"))
    assert set(values) == set(schema["properties"]) - {"global"}
    for name, member in schema["properties"].items():
        if "properties" in member:
            assert set(values[name]) == set(member["properties"]), name


def test_every_value_that_a_template_reads_exists() -> None:
    """Helm renders a misspelt value as nothing, and says nothing."""
    values = yaml.safe_load((DEPLOY / "helm/aisa/values.yaml").read_text("utf-8"))
    for template in (DEPLOY / "helm/aisa/templates").iterdir():
        for path in re.findall(r"\.Values\.([\w.]+)", template.read_text("utf-8")):
            found: Any = values
            for name in path.split("."):
                assert name in found, f"{template.name}: .Values.{path}"
                found = found[name]


def test_the_charts_own_settings_exist() -> None:
    """What the chart writes into aisa.yaml by itself are settings of the server."""
    server = Config().server
    named = re.findall(r'"(drain_\w+)"', chart("_names.tpl"))
    assert len(named) == 2
    for name in named:
        assert hasattr(server, name)


def test_every_variable_and_path_that_the_files_name_is_one_of_the_servers() -> None:
    """A misspelt variable is ignored, and a probe of a route that is not there never passes: both would be seen in production alone."""
    known = {*VARIABLES, PATH_VARIABLE, RUNTIME_VARIABLE, "PATH", "PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED"}
    known |= {name for row in ROWS.values() for name in row.key_variables}
    image = (ROOT / "Containerfile").read_text("utf-8")
    unit = (DEPLOY / "systemd" / "aisa.service").read_text("utf-8")
    values = (DEPLOY / "helm/aisa/values.yaml").read_text("utf-8")
    named = set(re.findall(r"(\w+)=", " ".join(re.findall(r"^ENV (.*)$", image, re.MULTILINE))))
    named |= set(re.findall(r"^Environment=(\w+)=", unit, re.MULTILINE))
    named |= set(re.findall(r"\b[A-Z]+_[A-Z_]+\b", values))
    services = compose()["services"]
    named |= {name for service in services.values() if service.get("image") == "aisa:local" for name in service["environment"]}
    assert {"DATABASE_URL", "VALKEY_URL", "AISA_DATA_DIR", "HOST", "PORT", "OPENAI_API_KEY"} <= named
    assert named <= known, named - known
    probed = set(re.findall(r"path: (/\S+?),", chart("statefulset.yaml"))) | set(re.findall(r"'?(/health/\w+)", image))
    assert probed == {"/health/live", "/health/ready"}
    assert probed <= {route.path for route in ROUTES}


def test_what_the_chart_scales_by_is_a_metric_of_the_servers() -> None:
    """And stands in the page of metrics, which a test holds against what a server says."""
    (name,) = re.findall(r"metric: \{name: (\w+)\}", chart("autoscaling.yaml"))
    assert f"| `{name}` |" in (ROOT / "docs/metrics.md").read_text("utf-8")


def replicas() -> list[dict[str, Any]]:
    """The servers of the compose file."""
    return [service for service in compose()["services"].values() if service.get("image") == "aisa:local"]


@pytest.mark.parametrize("name", ["compose.yaml", "compose.secrets.yaml"])
def test_replicas_behind_the_proxy_of_the_compose_file_trust_its_network(name: str) -> None:
    """[issue 13] nginx stood in front and nobody was told: it was every client, and ten wrong keys of anybody's kept administrators out."""
    file: dict[str, Any] = yaml.safe_load((DEPLOY / name).read_text("utf-8"))
    settings = yaml.safe_load((DEPLOY / file["configs"]["aisa"]["file"]).read_text("utf-8"))
    [network] = compose()["networks"]["default"]["ipam"]["config"]
    assert settings["server"]["trusted_proxies"] == [network["subnet"]]
    for replica in replicas():
        [mounted] = replica["configs"]
        assert (mounted["source"], mounted["target"]) == ("aisa", replica["environment"][PATH_VARIABLE])


def test_keys_in_files_are_where_the_settings_say(tmp_path: Path) -> None:
    """[issue 13] Compose puts a secret where its name is; systemd's example says the place that the unit's head makes; each is taken."""
    file: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.secrets.yaml").read_text("utf-8"))
    unit = (DEPLOY / "systemd" / "aisa.service").read_text("utf-8")
    key = tmp_path / "key"
    key.write_text("sk-of-the-file", "utf-8")
    key.chmod(0o600)
    for name, place in (("aisa.secrets.yaml", "/run/secrets/openai"), ("systemd/aisa.yaml", "/etc/aisa/keys/openai")):
        text = (DEPLOY / name).read_text("utf-8")
        assert f"api_key_file: {place}}}" in text
        (tmp_path / "aisa.yaml").write_text(text.replace(place, str(key)), "utf-8")
        config = load(str(tmp_path / "aisa.yaml"), {}, {}).config
        assert config.vendors["openai"].api_key == "sk-of-the-file"
        assert config.server.trusted_proxies
    assert [service["secrets"] for service in file["services"].values()] == [["openai"]] * len(replicas())
    assert set(file["services"]) <= set(compose()["services"])
    assert set(file["secrets"]) == {"openai"}
    assert "/etc/aisa/keys/openai" in unit
    assert "mountPath: /run/secrets/vendors," in chart("statefulset.yaml")
    assert "/run/secrets/vendors/KEY" in (DEPLOY / "helm/aisa/values.yaml").read_text("utf-8")
