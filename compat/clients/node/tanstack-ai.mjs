import { chat, toolDefinition } from "@tanstack/ai";
import { createAnthropicChat } from "@tanstack/ai-anthropic";
import { createGeminiChat } from "@tanstack/ai-gemini";
import { createOpenaiChat, createOpenaiChatCompletions } from "@tanstack/ai-openai";
import { z } from "zod";
import { BAD_KEY, CITY, HELLO, KEY, MODEL, URL, WEATHER, run, weather } from "./told.mjs";

// settings:
const responses = (key = KEY) => createOpenaiChat(MODEL, key, { baseURL: `${URL}/v1` });
const completions = createOpenaiChatCompletions(MODEL, KEY, { baseURL: `${URL}/v1` });
const anthropic = createAnthropicChat(MODEL, KEY, { baseURL: URL });
const gemini = createGeminiChat(MODEL, KEY, { httpOptions: { baseUrl: URL } });
// :settings

const EACH = [responses(), completions, anthropic, gemini];
const inTurn = async (ask) => {
  const answers = [];
  for (const adapter of EACH) answers.push(await ask(adapter));
  if (!answers.every(Boolean)) throw new Error(JSON.stringify(answers));
  return answers;
};
/** Ask, and return the text and how many tools answered; throw what a stream tells as its error. */
async function asked(adapter, content, more = {}) {
  let text = "";
  let results = 0;
  for await (const event of chat({ adapter, messages: [{ role: "user", content }], ...more })) {
    if (event.type === "RUN_ERROR") throw new Error(event.message);
    if (event.type === "TEXT_MESSAGE_CONTENT") text += event.delta;
    results += event.type === "TOOL_CALL_RESULT" || (event.type === "TOOL_CALL_END" && event.result !== undefined);
  }
  return { text, results };
}

async function plain() {
  return inTurn((adapter) => chat({ adapter, messages: [{ role: "user", content: HELLO }], stream: false }));
}
async function stream() {
  return inTurn(async (adapter) => (await asked(adapter, HELLO)).text);
}
async function tools() {
  const described = { name: "get_weather", description: "Get the weather.", inputSchema: z.object({ city: z.string() }) };
  const get_weather = toolDefinition(described).server(async (input) => weather(input));
  return inTurn(async (adapter) => {
    const { text, results } = await asked(adapter, WEATHER, { tools: [get_weather] });
    if (!results) throw new Error(text);
    return text;
  });
}
async function schema() {
  const outputSchema = z.object({ name: z.string(), people: z.number().int() });
  return inTurn((adapter) => chat({ adapter, messages: [{ role: "user", content: CITY }], outputSchema }));
}
async function badKey() {
  await asked(responses(BAD_KEY), HELLO);
}

await run(plain, stream, tools, schema, badKey);
