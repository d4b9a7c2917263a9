// Vercel's AI SDK: OpenAI's chat or Responses, or Anthropic's.
import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAI } from "@ai-sdk/openai";
import { generateText, jsonSchema, Output, stepCountIs, streamText, tool } from "ai";

const [base, apiKey, name, api] = process.argv.slice(2);
const settings = { baseURL: `${base}/v1`, apiKey };
const openai = createOpenAI(settings);
const named = { anthropic: createAnthropic(settings), chat: openai.chat, responses: openai.responses };
const object = (properties) =>
  ({ type: "object", properties, required: Object.keys(properties), additionalProperties: false });
const WEATHER = object({ city: { type: "string" }, unit: { type: "string" } });
const SHAPE = object({ city: { type: "string" }, people: { type: "integer" } });
const shared = (route = "to") => ({
  model: named[api](`${route}-${name}`),
  maxRetries: 0,
  providerOptions: { openai: { store: false } },  // nobody stores what is translated
});
const failed = async (call) => {
  try {
    await call();
    return "";
  } catch (error) {
    return error.constructor.name;
  }
};
const streamed = async (route) => {
  let failure;
  const onError = ({ error }) => { failure = error; };
  const { textStream } = streamText({ ...shared(route), prompt: "year", onError });
  const texts = [];
  for await (const text of textStream) texts.push(text);
  if (failure) throw failure;
  return texts.join("");
};

let given;
const weather = tool({
  description: "The weather of a city",
  inputSchema: jsonSchema(WEATHER),
  execute: async (input) => { given = input; return "sunny"; },
});
const whole = await generateText({ ...shared(), prompt: "time people" });
const used = await generateText(
  { ...shared(), prompt: "weather", tools: { weather }, stopWhen: stepCountIs(3) });
const parts = [
  { type: "text", text: "what" },
  { type: "file", data: "iVBORw0KGgo=", mediaType: "image/png" },
];
const seen = await generateText({ ...shared(), messages: [{ role: "user", content: parts }] });
const output = Output.object({ schema: jsonSchema(SHAPE), name: "shape" });
// Of a Claude that it does not know, it asks for a tool instead.
const shaped = api === "anthropic" ? {} : await generateText({ ...shared(), prompt: "weather", output });
console.log(JSON.stringify({
  text: whole.text,
  stream: await streamed("to"),
  tool: given,
  result: used.text,
  image: seen.text,
  shape: shaped.output,
  errors: [
    await failed(() => generateText({ ...shared("limited"), prompt: "time" })),
    await failed(() => generateText({ ...shared("wrong"), prompt: "time" })),
    await failed(() => streamed("broken")),
  ],
}));
