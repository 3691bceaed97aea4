#!/usr/bin/env bash
# mlx-lm 0.32.2's server answers `GET /v1/models` with 200, the headers of JSON and no body at all, on a machine where nothing was ever fetched from
# the Hugging Face hub: it looks for the folder of that cache before anything else, and has sent its head by then. `/health` says ok.
#
# Seen, with the cache's folder absent and then made, both empty:
#   absent   200 application/json, 0 bytes; its log says CacheNotFound
#   there    200 {"object": "list", "data": []}
#
# So who serves a model of his own folder, with nothing from the hub, is by its list no server, and its health check is green.
set -euo pipefail
folder=$(mktemp -d)
pids=()
trap 'kill "${pids[@]}" 2>/dev/null || true; rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check mlx-lm==0.32.2 mlx==0.32.4 mlx-cpu==0.32.4 transformers==5.24.0
port=$(python3 -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])')
export HF_HUB_OFFLINE=1 HF_HUB_CACHE="$folder/hub"
"$folder/venv/bin/python" -m mlx_lm server --host 127.0.0.1 --port "$port" >"$folder/log" 2>&1 &
pids+=($!)
for _ in $(seq 300); do curl -s -o /dev/null "http://127.0.0.1:$port/health" && break || sleep 0.2; done
ask() { curl -s -m 20 -w ' %{http_code} %{content_type} %{size_download} bytes' "http://127.0.0.1:$port/$1"; }
health=$(ask health) absent=$(ask v1/models)
mkdir "$HF_HUB_CACHE"
there=$(ask v1/models)
echo "health:                 $health"
echo "list, no cache folder:  $absent"
echo "list, an empty one:     $there"
[[ $health == *'"ok"'*' 200 '* && $absent == ' 200 application/json 0 bytes' && $there == *'"data": []'*' 200 '* ]] || { echo "this has changed"; exit 1; }
grep -q CacheNotFound "$folder/log" || { echo "the log has changed"; exit 1; }
