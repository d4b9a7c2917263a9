// AWS's SDK for Node with a bearer token, which no signature covers.  By default it speaks HTTP/2,
// also to an http:// address; the proxy speaks HTTP/1.1, so the handler is chosen here.
import {
  BedrockRuntimeClient, ConverseCommand, ConverseStreamCommand,
} from "@aws-sdk/client-bedrock-runtime";
import { NodeHttpHandler } from "@smithy/node-http-handler";

const client = new BedrockRuntimeClient({
  endpoint: process.argv[2], region: "us-east-1", requestHandler: new NodeHttpHandler(),
});
const asked = {
  modelId: "anthropic.claude-haiku-4-5-20251001-v1:0",
  messages: [{ role: "user", content: [{ text: "time people year" }] }],
};
const whole = await client.send(new ConverseCommand(asked));
const found = [whole.output, whole.usage];
const answer = await client.send(new ConverseStreamCommand(asked));
for await (const event of answer.stream) found.push(event);
console.log(JSON.stringify(found));
