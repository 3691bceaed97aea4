#!/usr/bin/env bash
# @openai/codex 0.171.0 repeats a request five times when its key is refused (401) or its money is spent (402); a 400 it does not repeat.
#
# Seen, `codex exec` with a provider of its own (`env_key`, `wire_api = "responses"`) and default settings:
#   401   6 requests, "Reconnecting... 5/5"
#   402   6 requests
#   400   1 request
#
# OpenAI's own libraries stop after the first of each. A gateway answers an empty wallet on its Responses API with 429 insufficient_quota, at
# which Codex stops; a refused key stays a 401, and the six are refused by their heads alone.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init --yes >/dev/null
npm install --silent --no-audit --no-fund @openai/codex@0.171.0 >/dev/null
mkdir home
cat >server.mjs <<'NODE'
import assert from "node:assert";
import { spawn } from "node:child_process";
import http from "node:http";

let requests = 0;
let answer = [];
const server = http.createServer((request, response) => {
  request.resume();
  request.on("end", () => {
    requests += request.url.endsWith("/responses");
    response.writeHead(answer[0], { "content-type": "application/json", "x-should-retry": "false" });
    response.end(JSON.stringify({ error: { message: "no", type: "invalid_request_error", code: answer[1], param: null } }));
  });
});
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
const base = `http://127.0.0.1:${server.address().port}/v1`;
const provider = `{name="x", base_url="${base}", env_key="SOME_KEY", wire_api="responses"}`;
const options = ["exec", "--skip-git-repo-check", "-c", 'model_provider="x"', "-c", `model_providers.x=${provider}`, "-m", "m", "Say hi."];
const seen = {};
for (answer of [[401, "invalid_api_key"], [402, "insufficient_balance"], [429, "insufficient_quota"], [400, "invalid_request"]]) {
  requests = 0;
  const env = { PATH: process.env.PATH, HOME: `${process.cwd()}/home`, SOME_KEY: "any" };
  const codex = spawn("node_modules/.bin/codex", options, { env, stdio: ["ignore", "ignore", "ignore"], timeout: 120000 });
  await new Promise((resolve) => codex.on("exit", resolve));
  seen[answer[0]] = requests;
}
console.log(seen);
assert.deepEqual(seen, { 400: 1, 401: 6, 402: 6, 429: 1 }, "this has changed");
server.close();
NODE
node server.mjs
