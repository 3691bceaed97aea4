// Agents and LangChain's client through every dialect that vendors speak; twenty-five.test.mjs has all conversations of two clients.
// The vendor is tests/polyglot.py, which speaks all dialects from the same scripts and wants an agent's thinking back.
import assert from "node:assert/strict";
import { test } from "node:test";

import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { AIMessage, HumanMessage, ToolMessage } from "@langchain/core/messages";
import { ChatOpenAI } from "@langchain/openai";
import { generateText, jsonSchema, streamText, tool } from "ai";
import OpenAI from "openai";

const baseURL = process.env.AISA_BASE_URL;
const apiKey = process.env.AISA_API_KEY;
const DIALECTS = ["openai", "mistral", "anthropic", "bedrock", "gemini", "cohere", "responses"];
const TEXT = "It is cold.";
const parameters = { type: "object", properties: { city: { type: "string" } } };
const weather = { type: "function", function: { name: "weather", description: "The weather.", parameters } };
const asked = [{ role: "user", content: "How is Oslo?" }];
const prefixed = (dialect, script) => (["anthropic", "bedrock"].includes(dialect) ? `claude-opus-5-5-${script}` : script);
const modelOf = (dialect, script) => `${dialect}/${prefixed(dialect, script)}`;

const openai = new OpenAI({ baseURL, apiKey, maxRetries: 0 });
const langchain = (dialect, script) =>
  new ChatOpenAI({ model: modelOf(dialect, script), apiKey, configuration: { baseURL }, maxRetries: 0, useResponsesApi: false });
const provider = createOpenAICompatible({ name: "aisa", baseURL, apiKey });

async function streamed(dialect, script, fields = {}) {
  const stream = await openai.chat.completions.create({ model: modelOf(dialect, script), messages: asked, stream: true, ...fields });
  let text = "", refusal = "", reasoning = "", reason = null;
  const calls = [];
  for await (const chunk of stream) {
    const choice = chunk.choices[0];
    if (!choice) continue;
    text += choice.delta.content ?? "";
    refusal += choice.delta.refusal ?? "";
    reasoning += choice.delta.reasoning_content ?? "";
    for (const call of choice.delta.tool_calls ?? []) {
      calls[call.index] ??= { id: call.id, name: call.function.name, arguments: "" };
      calls[call.index].arguments += call.function.arguments ?? "";
    }
    reason = choice.finish_reason ?? reason;
  }
  return { text, refusal, reasoning, calls, reason };
}

for (const dialect of DIALECTS) {
  test(`${dialect}: an agent that thinks before each of its calls gets to its end, though its client sends no thinking back`, async () => {
    const messages = [...asked];
    for (let turn = 1; turn <= 3; turn += 1) {
      const { text, calls } = await streamed(dialect, "agent", { messages, tools: [weather], reasoning_effort: "high", max_tokens: 20000 });
      if (turn === 3) return assert.equal(text, TEXT);
      const [{ id, name, arguments: given }] = calls;
      messages.push({ role: "assistant", content: null, tool_calls: [{ id, type: "function", function: { name, arguments: given } }] });
      messages.push({ role: "tool", tool_call_id: id, content: "-5" });
    }
  });

  test(`${dialect}: LangChain's client streams text and calls, and goes on with a result`, async () => {
    let text = "";
    for await (const chunk of await langchain(dialect, "text").stream([new HumanMessage("How is Oslo?")])) text += chunk.content;
    assert.equal(text, TEXT);
    const first = await langchain(dialect, "parallel").bindTools([weather]).invoke([new HumanMessage("How is Oslo?")]);
    assert.deepEqual(first.tool_calls.map(({ name, args }) => [name, args.city]), [["weather", "Oslo"], ["weather", "Bergen"]]);
    const results = first.tool_calls.map(({ id }) => new ToolMessage({ content: "-5", tool_call_id: id }));
    const last = await langchain(dialect, "text").bindTools([weather]).invoke([new HumanMessage("How is Oslo?"), new AIMessage(first), ...results]);
    assert.equal(last.content, TEXT);
    await assert.rejects(langchain(dialect, "early").invoke([new HumanMessage("How is Oslo?")]));
  });

  test(`${dialect}: the AI SDK streams text and thinking, and runs an agent's tools to the end`, async () => {
    const said = streamText({ model: provider(modelOf(dialect, "thinking")), prompt: "How is Oslo?", maxRetries: 0 });
    assert.deepEqual([await said.text, await said.reasoningText, await said.finishReason], [TEXT, "Oslo is north.", "stop"]);
    const tools = { weather: tool({ description: "The weather.", inputSchema: jsonSchema(parameters), execute: async () => "-5" }) };
    const stopWhen = ({ steps }) => steps.length >= 3;
    const agent = await generateText({ model: provider(modelOf(dialect, "agent")), prompt: "How is Oslo?", tools, stopWhen, maxRetries: 0 });
    assert.deepEqual([agent.text, agent.steps.length], [TEXT, 3]);
  });
}
