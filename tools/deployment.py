"""Render the Helm chart in each of its shapes with Helm itself, and hold every object against Kubernetes' schemas: `make deployment`.

Both programs are installed below `build/` at the versions below: Helm from its source by `go install`, as no package carries it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).parent.parent
CHART = ROOT / "deploy" / "helm" / "aisa"
PLACE = ROOT / "build" / "deployment"
HELM = "helm.sh/helm/v3/cmd/helm@v3.22.0"
SCHEMAS = "kubernetes-validate==1.37.0"
OLDEST_KUBERNETES, NEWEST_KUBERNETES = "1.25", "1.37"

DATABASE = ("stores.databaseSecret=database", "stores.limitsSecret=limits")
SHAPES: dict[str, tuple[str, ...]] = {
    "as it comes": (),
    "with vendors and settings": ("vendorSecret=vendors", "config.server.drain_seconds=300", "podAnnotations.team=a"),
    "three replicas": ("replicas=3", *DATABASE),
    "scaled": ("autoscaling.enabled=true", *DATABASE),
    "keys in files behind an ingress": (
        "vendorFiles=vendors",
        "trustedProxies={10.0.0.0/8,fd00::/8}",
        "config.vendors.openai.api_key_file=/k",
    ),
    "placed": ("nodeSelector.disk=fast", "data.storageClass=fast", "service.type=LoadBalancer"),
}
REFUSED: dict[str, tuple[str, ...]] = {
    "replicas that share nothing": ("replicas=2",),
    "a value that does not exist": ("replica=2",),
    "a word for a number": ("replicas=two",),
}


def main() -> int:
    """Print a line for each shape; the status is 1 if one is not as it must be."""
    helm, validate = installed()
    run(helm, "lint", "--quiet", "--strict", CHART).check_returncode()
    wrong = 0
    for name, values in SHAPES.items():
        rendered = render(helm, values)
        if rendered.returncode:
            wrong += told(name, rendered.stderr)
            continue
        kinds = [document["kind"] for document in yaml.safe_load_all(rendered.stdout) if document]
        file = PLACE / "rendered.yaml"
        file.write_text(rendered.stdout, "utf-8")
        problems = ""
        for version in (OLDEST_KUBERNETES, NEWEST_KUBERNETES):
            held = run(validate, "-k", version, "--strict", "--quiet", file)
            problems += held.stdout + held.stderr if held.returncode else ""
        wrong += told(name, problems, f"{len(kinds)} objects: {', '.join(kinds)}")
    for name, values in REFUSED.items():
        rendered = render(helm, values)
        reason = rendered.stderr.partition("\n\nUse --debug")[0].strip().splitlines()[-1:]
        wrong += told(f"refused: {name}", "" if rendered.returncode else "It was rendered.", *reason)
    return 1 if wrong else 0


def installed() -> tuple[Path, Path]:
    """Helm and the validator, installed if they are not there yet. Exits with the remedy where Go is not."""
    PLACE.mkdir(parents=True, exist_ok=True)
    helm, validate = PLACE / "helm", PLACE / "venv" / "bin" / "kubernetes-validate"
    if not helm.exists():
        go = shutil.which("go")
        if go is None:
            sys.exit("Helm is built from its source, and `go` is not here. On Debian: apt install golang")
        print(f"building {HELM}; some minutes", file=sys.stderr, flush=True)
        run(go, "install", HELM, GOBIN=str(PLACE)).check_returncode()
    if not validate.exists():
        run(sys.executable, "-m", "venv", PLACE / "venv").check_returncode()
        run(PLACE / "venv/bin/python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", SCHEMAS).check_returncode()
    return helm, validate


def render(helm: Path, values: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
    """What Helm makes of the chart with these values. As `go install` builds it, it thinks of Kubernetes 1.20 unless it is told."""
    options = [option for value in values for option in ("--set", value)]
    return run(helm, "template", "aisa", CHART, "--kube-version", NEWEST_KUBERNETES, *options)


def run(*command: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command of ours to its end, with more variables in its environment."""
    return subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **variables})  # noqa: S603 - fixed above


def told(name: str, problem: str, seen: str = "") -> int:
    """Print how a shape fared, and return 1 if it has a problem."""
    print(f"{'WRONG' if problem else 'ok':6}{name}: {problem.strip() or seen}")
    return 1 if problem else 0


if __name__ == "__main__":
    sys.exit(main())
