// The 25 conversations of tests/test_conversations.py through every dialect, read by OpenAI's client for Node and by the AI SDK.
// The vendor is tests/polyglot.py, which speaks all dialects from the same scripts and wants an agent's thinking back.
import assert from "node:assert/strict";
import { test } from "node:test";

import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateText, jsonSchema, Output, streamText, tool } from "ai";
import OpenAI from "openai";

const baseURL = process.env.AISA_BASE_URL;
const apiKey = process.env.AISA_API_KEY;
const DIALECTS = ["openai", "mistral", "anthropic", "bedrock", "gemini", "cohere", "responses"];
const [ASKED, TEXT, DEGREES, ROOM] = ["How is Oslo?", "It is cold.", '{"degrees":-5}', 20000];
const [INPUT, CACHED, OUTPUT] = [30, 8, 14];
const PNG = "iVBORw0KGgo=";
const SOUND = "UklGRg==";
const PARAMETERS = { type: "object", properties: { city: { type: "string" } } };
const SCHEMA = { type: "object", properties: { degrees: { type: "integer" } }, required: ["degrees"], additionalProperties: false };
// What a dialect has no words for is refused with 422 by the parameter's name; vendors that refuse in words alone say "stop".
const LACKING = { anthropic: { audio: "messages[0].content[0]" }, cohere: { audio: "messages[0].content[0]" }, responses: { stop: "stop" } };
const WORDS_ALONE = ["cohere"];
const modelOf = (dialect, script) => `${dialect}/${["anthropic", "bedrock"].includes(dialect) ? `claude-opus-5-5-${script}` : script}`;

// Each client is a function of (model, stream, wish) that returns what it read: text, thinking, calls, reason, counts, and the turn to send back.
const openai = new OpenAI({ baseURL, apiKey, maxRetries: 0 });

async function byOpenAI(model, stream, { picture, sound, tools, schema, effort, most, stop, marked, history = [] }) {
  const part = { type: "text", text: ASKED, ...(marked && { cache_control: { type: "ephemeral" } }) };
  const content = sound ? [{ type: "input_audio", input_audio: { data: SOUND, format: "wav" } }]
    : [part, ...(picture ? [{ type: "image_url", image_url: { url: `data:image/png;base64,${PNG}` } }] : [])];
  const results = (turn) => turn.tool_calls.map(({ id }) => ({ role: "tool", tool_call_id: id, content: "-5" }));
  const asked = {
    model, messages: [{ role: "user", content }, ...history.flatMap((turn) => [turn, ...results(turn)])],
    ...(tools && { tools: [{ type: "function", function: { name: "weather", parameters: PARAMETERS } }] }),
    ...(schema && { response_format: { type: "json_schema", json_schema: { name: "weather", strict: true, schema: SCHEMA } } }),
    ...(effort && { reasoning_effort: effort }), ...(most && { max_tokens: most }), ...(stop && { stop }),
  };
  const answer = stream ? await gathered(await openai.chat.completions.create({ ...asked, stream, stream_options: { include_usage: true } }))
    : await openai.chat.completions.create(asked);
  const [{ message, finish_reason: reason }] = answer.choices;
  const { prompt_tokens: input, completion_tokens: output, prompt_tokens_details: details } = answer.usage;
  return {
    text: message.content ?? "", refusal: message.refusal ?? "", thinking: message.reasoning_content ?? "", reason, turn: message,
    calls: (message.tool_calls ?? []).map(({ id, function: called }) => ({ id, name: called.name, given: JSON.parse(called.arguments) })),
    counts: [input, output, details?.cached_tokens ?? 0],
  };
}

async function gathered(stream) {
  const message = { role: "assistant", content: null };
  let reason = null, usage;
  for await (const chunk of stream) {
    usage = chunk.usage ?? usage;
    const choice = chunk.choices[0];
    if (!choice) continue;
    for (const name of ["content", "refusal", "reasoning_content"]) if (choice.delta[name]) message[name] = (message[name] ?? "") + choice.delta[name];
    if (choice.delta.reasoning_details) message.reasoning_details = [...(message.reasoning_details ?? []), ...choice.delta.reasoning_details];
    for (const { index, id, type, function: called } of choice.delta.tool_calls ?? []) {
      message.tool_calls ??= [];
      message.tool_calls[index] ??= { id, type, function: { name: called.name, arguments: "" } };
      message.tool_calls[index].function.arguments += called.arguments ?? "";
    }
    reason = choice.finish_reason ?? reason;
  }
  return { choices: [{ message, finish_reason: reason }], usage };
}

const provider = createOpenAICompatible({ name: "aisa", baseURL, apiKey, includeUsage: true, supportsStructuredOutputs: true });
const REASONS = { "tool-calls": "tool_calls", "content-filter": "content_filter" };

async function byAiSdk(model, stream, { picture, sound, tools, schema, effort, most, stop, marked, history = [] }) {
  const content = sound ? [{ type: "file", mediaType: "audio/wav", data: SOUND }]
    : [{ type: "text", text: ASKED, ...(marked && { providerOptions: { aisa: { cache_control: { type: "ephemeral" } } } }) },
      ...(picture ? [{ type: "image", image: `data:image/png;base64,${PNG}` }] : [])];
  let failed;
  const asked = {
    model: provider(model), messages: [{ role: "user", content }, ...history.flat()], maxRetries: 0, onError: ({ error }) => { failed = error; },
    ...(tools && { tools: { weather: tool({ inputSchema: jsonSchema(PARAMETERS) }) } }),
    ...(schema && { output: Output.object({ schema: jsonSchema(SCHEMA), name: "weather" }) }),
    ...(effort && { providerOptions: { aisa: { reasoningEffort: effort } } }), ...(most && { maxOutputTokens: most }), ...(stop && { stopSequences: stop }),
  };
  const answer = stream ? streamText(asked) : await generateText(asked);
  if (stream) await answer.consumeStream({ onError: (error) => { failed ??= error; } });
  if (failed) throw failed;
  const [text, reasoning, calls, reason, usage, response] = await Promise.all(
    ["text", "reasoningText", "toolCalls", "finishReason", "usage", "response"].map((name) => answer[name]));
  const results = calls.map(({ toolCallId, toolName }) => ({ type: "tool-result", toolCallId, toolName, output: { type: "text", value: "-5" } }));
  return {
    text, refusal: "", thinking: reasoning ?? "", reason: REASONS[reason] ?? reason,
    turn: [...response.messages, ...(results.length ? [{ role: "tool", content: results }] : [])],
    calls: calls.map(({ toolCallId, toolName, input }) => ({ id: toolCallId, name: toolName, given: input })),
    counts: [usage.inputTokens, usage.outputTokens, usage.inputTokenDetails?.cacheReadTokens ?? usage.cachedInputTokens ?? 0],
  };
}

async function says(ask, script, wish = {}, text = TEXT, reason = "stop") {
  const said = await ask(script, wish);
  assert.deepEqual([said.text, said.reason, ...said.counts.slice(0, 2)], [text, reason, INPUT, OUTPUT]);
  return said;
}

async function calls(ask, script, count) {
  const said = await ask(script, { tools: true });
  assert.deepEqual([said.reason, new Set(said.calls.map(({ id }) => id)).size], ["tool_calls", count]);
  assert.deepEqual([said.calls[0].name, said.calls[0].given], ["weather", { city: "Oslo" }]);
  await says(ask, "text", { tools: true, history: [said.turn] });
}

async function agent(ask) {
  const history = [];
  for (let turn = 1; turn <= 3; turn += 1) {
    const said = await ask("agent", { tools: true, effort: "high", most: ROOM, history: [...history] });
    assert.equal(said.reason, turn === 3 ? "stop" : "tool_calls");
    if (turn === 3) assert.equal(said.text, TEXT);
    history.push(said.turn);
  }
}

const refuses = async (ask, dialect) => {
  const said = await ask("refusal", {});
  assert.equal(said.reason, WORDS_ALONE.includes(dialect) ? "stop" : "content_filter");
};
const caches = async (ask) => {
  const { counts } = await ask("text", { marked: true });
  assert.deepEqual([counts[0], counts[2]], [INPUT, CACHED]);
};
const thinks = async (ask) => assert.equal((await says(ask, "thinking", { effort: "high", most: ROOM })).thinking, "Oslo is north.");

const BOTH = {
  text: (ask) => says(ask, "text"),
  picture: (ask) => says(ask, "text", { picture: true }),
  tools: (ask) => calls(ask, "tools", 1),
  "parallel tools": (ask) => calls(ask, "parallel", 2),
  schema: (ask) => says(ask, "schema", { schema: true }, DEGREES),
  thinking: thinks,
  "thinking with tools": agent,
  cache: caches,
  refusal: refuses,
  length: (ask) => says(ask, "length", { most: OUTPUT }, "It is", "length"),
};
const STREAMED = {
  audio: (ask) => says(ask, "text", { sound: true }),
  stop: (ask) => says(ask, "text", { stop: ["."] }),
  "error early": (ask) => assert.rejects(ask("early", {})),
  "error late": (ask) => assert.rejects(ask("late", {})),
  cut: (ask) => assert.rejects(ask("cut", {})),
};
const ALL = [...Object.entries(BOTH).flatMap(([name, had]) => [[name, had, true], [name, had, false]]), ...Object.entries(STREAMED).map(([name, had]) => [name, had, true])];

for (const [client, by] of Object.entries({ "OpenAI's client": byOpenAI, "the AI SDK": byAiSdk })) {
  for (const dialect of DIALECTS) {
    test(`${dialect}: ${client} reads all ${ALL.length} conversations right`, async (t) => {
      for (const [name, had, stream] of ALL) {
        await t.test(`${name}${stream ? "" : ", whole"}`, async () => {
          const ask = (script, wish) => by(modelOf(dialect, script), stream, wish);
          const lacking = LACKING[dialect]?.[name];
          if (lacking === undefined) return had(ask, dialect);
          await assert.rejects(had(ask, dialect), (error) => JSON.stringify([error.message, error.responseBody, error.error]).includes(lacking));
        });
      }
    });
  }
}
