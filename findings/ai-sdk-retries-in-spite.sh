#!/usr/bin/env bash
# ai 6.0.326 with @ai-sdk/openai 3.0.141 (Node) repeats a 429 although the answer says `x-should-retry: false`; a 402 it does not repeat.
#
# Seen, with generateText and default settings, answers with `retry-after: 1` and `x-should-retry: false`:
#   429   3 requests, then RetryError
#   402   1 request, then APICallError
#
# OpenAI's own clients stop after the first. A gateway cannot stop this client from asking three times when a budget is spent.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init --yes >/dev/null
npm install --silent --no-audit --no-fund ai@6.0.326 @ai-sdk/openai@3.0.141 >/dev/null
cat >client.mjs <<'NODE'
import assert from "node:assert";
import http from "node:http";
import { createOpenAI } from "@ai-sdk/openai";
import { generateText } from "ai";

let requests = 0;
let status = 429;
const server = http.createServer((request, response) => {
  request.resume();
  request.on("end", () => {
    requests++;
    response.writeHead(status, { "content-type": "application/json", "x-should-retry": "false", "retry-after": "1" });
    response.end(JSON.stringify({ error: { message: "spent", type: "rate_limit_error", code: "quota_exceeded", param: null } }));
  });
});
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
const vendor = createOpenAI({ apiKey: "any", baseURL: `http://127.0.0.1:${server.address().port}/v1` });
const expected = { 429: [3, "RetryError"], 402: [1, "APICallError"] };
for (status of [429, 402]) {
  requests = 0;
  let raised = null;
  try {
    await generateText({ model: vendor.chat("m"), prompt: "x" });
  } catch (error) {
    raised = error.constructor.name;
  }
  console.log(status, `${requests} requests`, raised);
  assert.deepEqual([requests, raised], expected[status], `this has changed: ${status}`);
}
server.close();
NODE
node client.mjs
