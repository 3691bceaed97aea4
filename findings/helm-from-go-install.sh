#!/usr/bin/env bash
# Helm 3.22.0 built by `go install helm.sh/helm/v3/cmd/helm@v3.22.0`, the one way to it from Go's modules, believes in a Kubernetes of 2020.
#
# Seen: `helm version` names v3.22, with no commit; `helm template` without a cluster renders for Kubernetes v1.20.0, so a chart that asks for
# `kubeVersion: ">=1.25.0-0"` is refused ("chart requires kubeVersion"), and branches on .Capabilities take the old side without a word. `helm
# lint --strict` of the same chart passes. A release's binary gets the version from flags of its linker. `--kube-version` gives it.
#
# So whoever renders charts in a pipeline that installs Helm this way tests for a cluster that nobody has. Needs go; some minutes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
GOBIN="$folder" go install helm.sh/helm/v3/cmd/helm@v3.22.0
helm="$folder/helm"
chart="$folder/chart"
mkdir -p "$chart/templates"
printf 'apiVersion: v2\nname: chart\nversion: 1.0.0\nicon: "data:,"\n' >"$chart/Chart.yaml"
cat >"$chart/templates/which.yaml" <<'YAML'
apiVersion: v1
kind: ConfigMap
metadata: {name: which}
data: {version: {{ .Capabilities.KubeVersion.Version | quote }}}
YAML
echo '{}' >"$chart/values.yaml"
"$helm" version --short
rendered=$("$helm" template "$chart" | grep version:)
echo "rendered for $rendered"
[[ "$rendered" == *v1.20.0* ]] || { echo "this has changed: it knows another Kubernetes"; exit 1; }
echo 'kubeVersion: ">=1.25.0-0"' >>"$chart/Chart.yaml"
"$helm" lint --strict --quiet "$chart" && echo "lint passes"
if said=$("$helm" template "$chart" 2>&1); then
    echo "this has changed: it is rendered"
    exit 1
fi
echo "$said" | grep -o 'chart requires kubeVersion.*v1.20.0'
"$helm" template --kube-version 1.37 "$chart" | grep -q v1.37 && echo "with --kube-version it is rendered"
