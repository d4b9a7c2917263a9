// Anthropic's SDK for Node.
import Anthropic from "@anthropic-ai/sdk";

const [baseURL, apiKey, model] = process.argv.slice(2);
const client = new Anthropic({ baseURL, apiKey, maxRetries: 0 });
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
const user = (content) => ({ role: "user", content });
const asked = (messages, more = {}, route = "to") =>
  ({ model: `${route}-${model}`, max_tokens: 500, messages, ...more });
const text = async (...given) => (await client.messages.create(asked(...given))).content[0].text;
const stream = (...given) => client.messages.stream(asked(...given));

const tools = [{ name: "weather", input_schema: WEATHER }];
const said = await stream([user("year")]).finalText();
const called = await stream([user("weather")], { tools }).finalMessage();
const use = called.content.find((block) => block.type === "tool_use");
const told = user([{ type: "tool_result", tool_use_id: use.id, content: "sunny" }]);
const turn = { role: "assistant", content: called.content };
const picture = { type: "base64", media_type: "image/png", data: "iVBORw0KGgo=" };
const format = { type: "json_schema", schema: SHAPE };
console.log(JSON.stringify({
  text: await text([user("time people")]),
  stream: said,
  tool: use.input,
  result: await text([user("weather"), turn, told], { tools }),
  image: await text([user([{ type: "text", text: "what" }, { type: "image", source: picture }])]),
  shape: JSON.parse(await text([user("weather")], { output_config: { format } })),
  errors: [
    await failed(() => text([user("time")], {}, "limited")),
    await failed(() => text([user("time")], {}, "wrong")),
    await failed(() => stream([user("time")], {}, "broken").finalMessage()),
  ],
}));
