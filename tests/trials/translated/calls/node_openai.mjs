// OpenAI's SDK for Node: chat completions, or Responses if the last argument says so.
import OpenAI from "openai";

const [base, apiKey, model, api] = process.argv.slice(2);
const client = new OpenAI({ baseURL: `${base}/v1`, apiKey, maxRetries: 0 });
const PNG = "data:image/png;base64,iVBORw0KGgo=";
const object = (properties) =>
  ({ type: "object", properties, required: Object.keys(properties), additionalProperties: false });
const WEATHER = object({ city: { type: "string" }, unit: { type: "string" } });
const SHAPE = object({ city: { type: "string" }, people: { type: "integer" } });
const failed = async (call) => {
  try {
    await call();
    return "";
  } catch (error) {
    return error.constructor.name;
  }
};
const collected = async (stream) => {
  const all = [];
  for await (const item of await stream) all.push(item);
  return all;
};
const weather = { role: "user", content: "weather" };

async function chat() {
  const create = (messages, more, route = "to") =>
    client.chat.completions.create({ model: `${route}-${model}`, messages, ...more });
  const text = async (...given) => (await create(...given)).choices[0].message.content;
  const chunks = await collected(create([{ role: "user", content: "year" }], { stream: true }));
  const tools = [{ type: "function", function: { name: "weather", parameters: WEATHER } }];
  const stream = client.chat.completions.stream({ model: `to-${model}`, messages: [weather], tools });
  const called = (await stream.finalChatCompletion()).choices[0].message;
  const [call] = called.tool_calls;
  const told = { role: "tool", tool_call_id: call.id, content: "sunny" };
  const parts = [{ type: "text", text: "what" }, { type: "image_url", image_url: { url: PNG } }];
  const form = { type: "json_schema", json_schema: { name: "shape", schema: SHAPE } };
  return {
    text: await text([{ role: "user", content: "time people" }]),
    stream: chunks.map((one) => one.choices[0]?.delta.content ?? "").join(""),
    tool: JSON.parse(call.function.arguments),
    result: await text([weather, called, told], { tools }),
    image: await text([{ role: "user", content: parts }]),
    shape: JSON.parse(await text([weather], { response_format: form })),
    errors: [
      await failed(() => create([weather], {}, "limited")),
      await failed(() => create([weather], {}, "wrong")),
      await failed(() => collected(create([weather], { stream: true }, "broken"))),
    ],
  };
}

async function responses() {
  const create = (input, more, route = "to") =>
    client.responses.create({ model: `${route}-${model}`, input, ...more });
  const text = async (...given) => (await create(...given)).output_text;
  const events = await collected(create("year", { stream: true }));
  const tools = [{ type: "function", name: "weather", parameters: WEATHER, strict: false }];
  const stream = client.responses.stream({ model: `to-${model}`, input: [weather], tools });
  const { output } = await stream.finalResponse();
  const called = output.find((item) => item.type === "function_call");
  const told = { type: "function_call_output", call_id: called.call_id, output: "sunny" };
  const parts = [{ type: "input_text", text: "what" }, { type: "input_image", image_url: PNG }];
  const format = { type: "json_schema", name: "shape", schema: SHAPE };
  return {
    text: await text("time people"),
    stream: events.map((one) => (one.type === "response.output_text.delta" ? one.delta : "")).join(""),
    tool: JSON.parse(called.arguments),
    result: await text([weather, ...output, told], { tools }),
    image: await text([{ role: "user", content: parts }]),
    shape: JSON.parse(await text([weather], { text: { format } })),
    errors: [
      await failed(() => create([weather], {}, "limited")),
      await failed(() => create([weather], {}, "wrong")),
      await failed(() => collected(create([weather], { stream: true }, "broken"))),
    ],
  };
}

console.log(JSON.stringify(await (api === "chat" ? chat() : responses())));
