// Google's SDK for Node.
import { GoogleGenAI } from "@google/genai";

const client = new GoogleGenAI({ apiKey: process.env.GEMINI_API_KEY });
const asked = { model: "gemini-2.5-flash", contents: "time people year" };
const whole = await client.models.generateContent(asked);
const texts = [];
for await (const chunk of await client.models.generateContentStream(asked)) texts.push(chunk.text);
console.log(JSON.stringify([whole.text, whole.usageMetadata, texts]));
