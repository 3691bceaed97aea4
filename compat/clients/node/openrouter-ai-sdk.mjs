import { createOpenRouter } from "@openrouter/ai-sdk-provider";
import { Output, embed, generateText, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";
import { BAD_KEY, CITY, HELLO, KEY, MODEL, URL, WEATHER, gathered, run, weather } from "./told.mjs";

// settings:
const connect = (apiKey = KEY) => createOpenRouter({ baseURL: `${URL}/v1`, apiKey, compatibility: "strict" });
// :settings

const model = connect()(MODEL);

async function plain() {
  return (await generateText({ model, prompt: HELLO })).text;
}
async function stream() {
  const answer = streamText({ model, prompt: HELLO });
  const text = await gathered(answer.textStream, (part) => part);
  if (!(await answer.usage).outputTokens) throw new Error("no usage");
  return text;
}
async function tools() {
  const get_weather = tool({ description: "Get the weather.", inputSchema: z.object({ city: z.string() }), execute: async (input) => weather(input) });
  const answer = await generateText({ model, prompt: WEATHER, tools: { get_weather }, stopWhen: stepCountIs(3) });
  if (answer.steps.length !== 2) throw new Error(JSON.stringify(answer.steps));
  return answer.text;
}
async function schema() {
  const output = Output.object({ schema: z.object({ name: z.string(), people: z.number().int() }) });
  return (await generateText({ model, prompt: CITY, output })).output;
}
async function embeddings() {
  return (await embed({ model: connect().textEmbeddingModel(MODEL), value: HELLO })).embedding.length;
}
async function badKey() {
  await generateText({ model: connect(BAD_KEY)(MODEL), prompt: HELLO });
}

await run(plain, stream, tools, schema, embeddings, badKey);
