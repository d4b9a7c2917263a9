// node gateway_calls.mjs BASE_URL TOKEN MODEL: calls through the gateway with OpenAI's SDK for Node.
// Prints what the SDK made of them, as JSON.
import OpenAI from "openai";

const [baseURL, apiKey, model] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey, maxRetries: 0 });
const messages = [{ role: "user", content: "time" }];
const parameters = { type: "object", properties: { city: { type: "string" } } };
const tools = [{ type: "function", function: { name: "weather", parameters } }];

const whole = await client.chat.completions.create({ model, messages });
const stream = client.chat.completions.stream({ model, messages, tools });
const called = await stream.finalChatCompletion();
const wrong = await client.chat.completions.create({ model, messages, seed: 7, n: 2 }).catch((error) => error);

console.log(JSON.stringify({
  text: whole.choices[0].message.content,
  usage: whole.usage,
  finish: called.choices[0].finish_reason,
  calls: called.choices[0].message.tool_calls.map((call) => call.function),
  error: [wrong.constructor.name, wrong.status, wrong.message],
}));
