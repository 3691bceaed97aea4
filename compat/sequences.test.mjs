// What the vendors' own clients for JavaScript have of our answers to legal sequences: what the vendor's client for Python has of the sequence.
// No line of a stream is read here. The answers come from door_answers.py, without a server.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";

import Anthropic from "@anthropic-ai/sdk";
import { GoogleGenAI } from "@google/genai";
import OpenAI from "openai";

const answers = JSON.parse(execFileSync(process.env.AISA_PYTHON, ["door_answers.py"], { maxBuffer: 1 << 28 }));
const ENDS = {
  stop: ["stop", "end_turn", "completed", "STOP"],
  calls: ["tool_calls", "tool_use"],
  length: ["length", "max_tokens", "max_output_tokens", "MAX_TOKENS"],
  refused: ["content_filter", "refusal", "SAFETY"],
};
const endOf = (word) => Object.keys(ENDS).find((end) => ENDS[end].includes(word)) ?? assert.fail(`an end by ${word}`);
const callOf = (name, given) => [name, JSON.stringify(typeof given === "string" ? JSON.parse(given || "{}") : (given ?? {}))];
const answering = (body) => async () => new Response(body, { status: 200, headers: { "content-type": "text/event-stream" } });
const openai = (body) => new OpenAI({ apiKey: "k", maxRetries: 0, fetch: answering(body) });
const messages = [{ role: "user", content: "Hello." }];

async function chat(body, read) {
  const calls = [];
  for await (const chunk of await openai(body).chat.completions.create({ model: "m", messages, stream: true })) {
    for (const { delta, finish_reason } of chunk.choices) {
      read.text += (delta.content ?? "") + (delta.refusal ?? "");
      read.thinking += delta.reasoning_content ?? "";
      for (const { index, function: called } of delta.tool_calls ?? []) {
        calls[index] ??= ["", ""];
        calls[index][0] += called.name ?? "";
        calls[index][1] += called.arguments ?? "";
      }
      read.end = finish_reason ? endOf(finish_reason) : read.end;
    }
    if (chunk.usage) read.tokens = [chunk.usage.prompt_tokens, chunk.usage.completion_tokens];
  }
  read.calls = calls.map(([name, given]) => callOf(name, given));
}

async function completions(body, read) {
  for await (const chunk of await openai(body).completions.create({ model: "m", prompt: "Hello.", stream: true })) {
    for (const { text, finish_reason } of chunk.choices) {
      read.text += text;
      read.end = finish_reason ? endOf(finish_reason) : read.end;
    }
    if (chunk.usage) read.tokens = [chunk.usage.prompt_tokens, chunk.usage.completion_tokens];
  }
}

async function responses(body, read) {
  const stream = openai(body).responses.stream({ model: "m", input: "Hello." });
  for await (const event of stream) {
    if (["response.output_text.delta", "response.refusal.delta"].includes(event.type)) read.text += event.delta;
    if (event.type === "response.failed") throw new Error(event.response.error.message);
  }
  const whole = await stream.finalResponse();
  for (const item of whole.output) {
    if (item.type === "function_call") read.calls.push(callOf([item.namespace, item.name].filter(Boolean).join("/"), item.arguments));
    if (item.type === "reasoning") read.thinking += item.summary.map((part) => part.text).join("");
  }
  const why = whole.incomplete_details?.reason ?? "completed";
  read.end = read.calls.length > 0 && why === "completed" ? "calls" : endOf(why);
  read.tokens = [whole.usage.input_tokens, whole.usage.output_tokens];
}

async function anthropic(body, read) {
  const client = new Anthropic({ apiKey: "k", maxRetries: 0, fetch: answering(body) });
  const stream = client.messages.stream({ model: "m", max_tokens: 9, messages });
  stream.on("text", (text) => (read.text += text));
  const whole = await stream.finalMessage();
  read.thinking = whole.content.map((block) => block.thinking ?? "").join("");
  read.calls = whole.content.filter(({ type }) => type === "tool_use").map(({ name, input }) => callOf(name, input));
  read.end = endOf(whole.stop_reason);
  const { input_tokens, cache_read_input_tokens, cache_creation_input_tokens, output_tokens } = whole.usage;
  read.tokens = [input_tokens + (cache_read_input_tokens ?? 0) + (cache_creation_input_tokens ?? 0), output_tokens];
}

async function gemini(body, read) {
  globalThis.fetch = answering(body); // this client takes no other
  const client = new GoogleGenAI({ apiKey: "k" });
  for await (const chunk of await client.models.generateContentStream({ model: "m", contents: "Hello." })) {
    for (const candidate of chunk.candidates ?? []) {
      for (const part of candidate.content?.parts ?? []) {
        if (part.functionCall) read.calls.push(callOf(part.functionCall.name, part.functionCall.args));
        else if (part.thought) read.thinking += part.text ?? "";
        else read.text += part.text ?? "";
      }
      read.end = candidate.finishReason ? endOf(candidate.finishReason) : read.end;
    }
    const used = chunk.usageMetadata;
    if (used) read.tokens = [used.promptTokenCount ?? 0, (used.candidatesTokenCount ?? 0) + (used.thoughtsTokenCount ?? 0)];
  }
  if (read.calls.length > 0 && read.end === "stop") read.end = "calls";
}

const READERS = { chat, completions, responses, messages: anthropic, gemini };

for (const { cell, body, due } of answers) {
  test(`${cell.join(", ")}: JavaScript's client has what the vendor's has`, async () => {
    const read = { text: "", thinking: "", calls: [], end: "", tokens: [0, 0], failed: "" };
    try {
      await READERS[cell[0]](body, read);
    } catch (error) {
      if (error instanceof assert.AssertionError || !due.failed) throw error;
      Object.assign(read, { failed: error.message, end: "" });
    }
    if (due.failed) return assert.deepEqual([read.text, read.end, read.failed !== ""], [due.text, "", true]);
    if (due.tokens[0] + due.tokens[1] === 0) read.tokens = due.tokens;
    assert.deepEqual(read, due);
  });
}
