// LangChain's client for OpenAI against a running server. See run.py for where.
import assert from "node:assert/strict";
import { test } from "node:test";

import { ChatOpenAI } from "@langchain/openai";

import { NAMES, expected, request } from "./cases.mjs";

const over = (configuration, model = "gpt-4.1") => new ChatOpenAI({ model, apiKey: process.env.AISA_API_KEY, maxRetries: 0, configuration });
const reached = { baseURL: process.env.AISA_BASE_URL };

test("text is streamed word by word", async () => {
  const words = [];
  for await (const { content } of await over(reached, "local/hello").stream("Hello!")) if (content) words.push(content);
  assert.deepEqual(words, ["Hello", " from", " the", " vendor", "."]);
});

for (const name of NAMES) {
  test(`a repaired answer is read as any other: ${name}`, async () => {
    const { messages, model, tools } = request(name);
    const asked = tools ? over(reached, model).bindTools(tools) : over(reached, model);
    let whole;
    for await (const part of await asked.stream(messages)) whole = whole ? whole.concat(part) : part;
    const { text, calls, reason } = expected(name);
    assert.equal(whole.content, text);
    assert.equal(whole.response_metadata.finish_reason, reason);
    assert.deepEqual(whole.tool_calls.map(({ name: called, args }) => [called, args]), calls.map((call) => [call.name, JSON.parse(call.text)]));
  });
}

test("a padded document is read behind its newlines, and a late failure is an exception", async () => {
  const padded = (body) => over({ fetch: async () => new Response(body, { headers: { "content-type": "application/json" } }) });
  const good = await padded('\n\n{"choices":[{"index":0,"message":{"role":"assistant","content":"Hi"}}]}').invoke("Hello!");
  assert.equal(good.content, "Hi");
  await assert.rejects(padded('\n\n{"error":{"code":"upstream_timeout","message":"late"}}').invoke("Hello!"));
});
