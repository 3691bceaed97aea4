// Vercel's AI SDK with its provider for compatible servers, against a running server. See run.py for where.
import assert from "node:assert/strict";
import { test } from "node:test";

import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { APICallError, generateObject, generateText, jsonSchema, stepCountIs, streamObject, streamText, tool } from "ai";
import { z } from "zod";

import { NAMES, expected, request } from "./cases.mjs";

const aisa = createOpenAICompatible({
  name: "aisa",
  baseURL: process.env.AISA_BASE_URL,
  apiKey: process.env.AISA_API_KEY,
  includeUsage: true,
  supportsStructuredOutputs: true,
});
const model = aisa("gpt-4.1");
const prompt = "Hello! Who are you?";
const quiet = { maxRetries: 0, onError: () => {} };
const Forecast = z.object({ city: z.string(), sky: z.enum(["clear", "cloudy"]), degrees: z.number().int() });
const weather = () => {
  const asked = [];
  const inputSchema = z.object({ city: z.string(), unit: z.enum(["celsius", "fahrenheit"]) });
  const execute = async (input) => (asked.push(input), { degrees: 21 });
  return { asked, tools: { get_weather: tool({ description: "The weather in a city.", inputSchema, execute }) } };
};

test("text is generated, with usage", async () => {
  const { text, finishReason, usage } = await generateText({ model, prompt });
  assert.ok(text);
  assert.equal(finishReason, "stop");
  assert.equal(usage.totalTokens, usage.inputTokens + usage.outputTokens);
  assert.ok(usage.outputTokens > 0);
});

test("text is streamed word by word, with usage", async () => {
  const result = streamText({ model: aisa("local/hello"), prompt, ...quiet });
  const words = [];
  for await (const word of result.textStream) words.push(word);
  assert.deepEqual(words, ["Hello", " from", " the", " vendor", "."]);
  assert.equal(await result.finishReason, "stop");
  assert.equal((await result.usage).totalTokens, 16);
});

for (const [kind, generate] of Object.entries({ generateText, streamText })) {
  test(`a tool is run and its result answered in text: ${kind}`, async () => {
    const { asked, tools } = weather();
    const result = await generate({ model, prompt: "Please call get_weather for Paris.", tools, stopWhen: stepCountIs(3), ...quiet });
    assert.ok(await result.text);
    const steps = await result.steps;
    assert.deepEqual(await Promise.all(steps.map((step) => step.finishReason)), ["tool-calls", "stop"]);
    assert.equal(asked.length, 1);
    assert.ok(["celsius", "fahrenheit"].includes(asked[0].unit));
  });
}

test("an object of a schema is generated", async () => {
  const { object } = await generateObject({ model, prompt, schema: Forecast });
  Forecast.parse(object);
});

test("an object of a schema is streamed", async () => {
  const result = streamObject({ model, prompt, schema: Forecast, ...quiet });
  const parts = [];
  for await (const part of result.partialObjectStream) parts.push(part);
  assert.deepEqual(Forecast.parse(await result.object), parts.at(-1));
});

const refusals = [
  ["an unknown model", "nobody", 404, false],
  ["a limited vendor", "local/status-429", 429, true],
  ["an overloaded vendor", "local/status-503", 503, true],
  ["a silent vendor", "impatient", 504, true],
];
for (const [what, name, status, isRetryable] of refusals) {
  test(`${what} is an error with our status and words`, async () => {
    const error = await generateText({ model: aisa(name), prompt, maxRetries: 0 }).then(assert.fail, (reason) => reason);
    assert.ok(APICallError.isInstance(error), String(error));
    assert.deepEqual([error.statusCode, error.isRetryable], [status, isRetryable]);
    assert.equal(error.message, JSON.parse(error.responseBody).error.message);
    assert.match(error.responseHeaders["x-request-id"], /^req_/);
  });
}

test("a bad key is an error with status 401", async () => {
  const stranger = createOpenAICompatible({ name: "aisa", baseURL: process.env.AISA_BASE_URL, apiKey: "sk-aisa-wrong" });
  const error = await generateText({ model: stranger("gpt-4.1"), prompt, maxRetries: 0 }).then(assert.fail, (reason) => reason);
  assert.equal(error.statusCode, 401);
});

for (const script of ["error-mid-stream", "cut-mid-stream", "reset-mid-stream", "unfinished"]) {
  test(`a stream that breaks off has an error after what was said: ${script}`, async () => {
    const said = [];
    const errors = [];
    for await (const part of streamText({ model: aisa(`local/${script}`), prompt, ...quiet }).fullStream) {
      if (part.type === "text-delta") said.push(part.text);
      if (part.type === "error") errors.push(part.error);
      if (part.type === "finish") assert.notEqual(part.finishReason, "stop");
    }
    assert.deepEqual(said, ["Hello", " from"]);
    assert.equal(errors.length, 1);
    assert.match(String(errors[0].message ?? errors[0]), /local/);
  });
}

for (const name of NAMES) {
  test(`a repaired answer is read as any other: ${name}`, async () => {
    const { messages, model: asked, tools: given = [] } = request(name);
    const described = given.map(({ function: { name: called, parameters } }) => [called, tool({ inputSchema: jsonSchema(parameters ?? { type: "object" }) })]);
    const result = streamText({ model: aisa(asked), messages, tools: Object.fromEntries(described), ...quiet });
    const { text, calls, reason } = expected(name);
    assert.equal(await result.text, text);
    assert.equal(await result.finishReason, reason.replace("_", "-"));
    assert.deepEqual((await result.toolCalls).map(({ toolName, input }) => [toolName, input]), calls.map((call) => [call.name, JSON.parse(call.text)]));
  });
}

test("a padded document is read behind its newlines, and a late failure is an error of status 200", async () => {
  const over = (body) => {
    const fetch = async () => new Response(body, { headers: { "content-type": "application/json" } });
    return createOpenAICompatible({ name: "aisa", baseURL: "http://nowhere", apiKey: "none", fetch })("gpt-4.1");
  };
  const good = over('\n\n{"choices":[{"index":0,"message":{"role":"assistant","content":"Hi"},"finish_reason":"stop"}]}');
  assert.equal((await generateText({ model: good, prompt, maxRetries: 0 })).text, "Hi");
  const late = over('\n\n{"error":{"code":"upstream_timeout","message":"late"}}');
  const error = await generateText({ model: late, prompt, maxRetries: 0 }).then(assert.fail, (reason) => reason);
  assert.ok(APICallError.isInstance(error), String(error));
  assert.deepEqual([error.statusCode, error.isRetryable], [200, false]);
});
