import { openAICompatible } from "@genkit-ai/compat-oai";
import { genkit, z } from "genkit";
import { BAD_KEY, HELLO, KEY, MODEL, URL, WEATHER, gathered, run, weather } from "./told.mjs";

// settings:
const connect = (apiKey = KEY) => genkit({ plugins: [openAICompatible({ name: "aisa", baseURL: `${URL}/v1`, apiKey })], model: `aisa/${MODEL}` });
// :settings

const ai = connect();

async function plain() {
  return (await ai.generate(HELLO)).text;
}
async function stream() {
  return gathered(ai.generateStream(HELLO).stream, (part) => part.text);
}
async function tools() {
  let called = 0;
  const given = { name: "get_weather", description: "Get the weather.", inputSchema: z.object({ city: z.string() }) };
  const get_weather = ai.defineTool(given, async (input) => (called++, weather(input)));
  const { text } = await ai.generate({ prompt: WEATHER, tools: [get_weather] });
  if (called !== 1) throw new Error(`called ${called} times: ${text}`);
  return text;
}
async function badKey() {
  await connect(BAD_KEY).generate(HELLO);
}

await run(plain, stream, tools, badKey);
