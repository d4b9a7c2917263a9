// Cohere's SDK for Node: chat and embeddings of version 2.
import { CohereClientV2 } from "cohere-ai";

const client = new CohereClientV2({ environment: process.argv[2], token: process.env.CO_API_KEY });
const asked = { model: "command-a-03-2025", messages: [{ role: "user", content: "time people year" }] };
const found = [await client.chat(asked)];
for await (const event of await client.chatStream(asked)) found.push(event);
found.push(await client.embed({
  model: "embed-v4.0", texts: ["life"], inputType: "search_query", embeddingTypes: ["float"],
}));
console.log(JSON.stringify(found));
