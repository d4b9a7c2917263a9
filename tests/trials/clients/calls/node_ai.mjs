// Vercel's AI SDK with the provider that its second argument names: "openai" or "anthropic".
import { generateText, streamText } from "ai";

const [, , , name, model] = process.argv;
const provider = (await import(`@ai-sdk/${name}`))[name];
const prompt = "time people year";
const whole = await generateText({ model: provider(model), prompt });
const stream = streamText({ model: provider(model), prompt });
const texts = [];
for await (const text of stream.textStream) texts.push(text);
console.log(JSON.stringify([whole.text, whole.usage, texts, await stream.usage]));
