import { createAnthropic } from "@ai-sdk/anthropic";
import { createGoogleGenerativeAI } from "@ai-sdk/google";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { Output, embed, generateText, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";
import { BAD_KEY, CITY, HELLO, KEY, MODEL, URL, WEATHER, gathered, run, weather } from "./told.mjs";

// settings:
const openai = (apiKey = KEY) => createOpenAI({ baseURL: `${URL}/v1`, apiKey });
const compatible = createOpenAICompatible({ name: "aisa", baseURL: `${URL}/v1`, apiKey: KEY, supportsStructuredOutputs: true });
const anthropic = createAnthropic({ baseURL: `${URL}/v1`, apiKey: KEY });
const google = createGoogleGenerativeAI({ baseURL: `${URL}/v1beta`, apiKey: KEY });
// :settings

const each = [openai()(MODEL), openai().chat(MODEL), compatible(MODEL), anthropic(MODEL), google(MODEL)];
const inTurn = async (ask) => {
  const answers = [];
  for (const model of each) answers.push(await ask(model));
  if (!answers.every(Boolean)) throw new Error(JSON.stringify(answers));
  return answers;
};

async function plain() {
  return inTurn(async (model) => (await generateText({ model, prompt: HELLO })).text);
}
async function stream() {
  return inTurn((model) => gathered(streamText({ model, prompt: HELLO }).textStream, (text) => text));
}
async function tools() {
  const get_weather = tool({ description: "Get the weather.", inputSchema: z.object({ city: z.string() }), execute: async (input) => weather(input) });
  return inTurn(async (model) => {
    const answer = await generateText({ model, prompt: WEATHER, tools: { get_weather }, stopWhen: stepCountIs(3) });
    if (answer.steps.length !== 2) throw new Error(JSON.stringify(answer.steps));
    return answer.text;
  });
}
async function schema() {
  const output = Output.object({ schema: z.object({ name: z.string(), people: z.number().int() }) });
  return inTurn(async (model) => (await generateText({ model, prompt: CITY, output })).output);
}
async function embeddings() {
  return (await embed({ model: openai().embedding(MODEL), value: HELLO })).embedding.length;
}
async function badKey() {
  await generateText({ model: openai(BAD_KEY)(MODEL), prompt: HELLO });
}

await run(plain, stream, tools, schema, embeddings, badKey);
