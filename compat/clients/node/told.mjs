// What the JavaScript clients of this folder are told, and how they tell what they saw: `python/told.py` in JavaScript.

import process from "node:process";

export const URL = process.env.AISA_BASE_URL; // without /v1
export const KEY = process.env.AISA_API_KEY;
export const MODEL = process.env.AISA_MODEL ?? "gpt-4.1";
export const BAD_KEY = "sk-nobody-has-this-key";
export const HELLO = "Say hello in one sentence.";
export const WEATHER = "What is the weather in Oslo?";
export const CITY = "Name a city and how many people live there.";
export const ARGUMENTS = { type: "object", properties: { city: { type: "string" } }, required: ["city"], additionalProperties: false };
export const CITY_SCHEMA = {
  type: "object",
  properties: { name: { type: "string" }, people: { type: "integer" } },
  required: ["name", "people"],
  additionalProperties: false,
};
export const weather = ({ city }) => `It is cold in ${city}.`;

/** Try each function; one called badKey must throw, the others must return something. */
export async function run(...functions) {
  for (const each of functions) {
    const does = each.name === "badKey" ? "bad_key" : each.name;
    let seen = "";
    let failed = "";
    try {
      seen = await each();
      failed = does === "bad_key" ? "nobody was told that the key is bad" : seen ? "" : `it returned ${seen}`;
    } catch (error) {
      if (does === "bad_key") seen = `${error.name}: ${error.message}`;
      else failed = String(error.stack ?? error).slice(0, 2000);
    }
    const shown = typeof seen === "string" ? seen : JSON.stringify(seen);
    console.log("::" + JSON.stringify({ does, seen: String(shown).slice(0, 300), failed }));
  }
  process.exit(0);
}

/** Gather what an iterator gives, as `of` makes it of each. */
export async function gathered(parts, of) {
  let text = "";
  for await (const part of parts) text += of(part) ?? "";
  return text;
}
