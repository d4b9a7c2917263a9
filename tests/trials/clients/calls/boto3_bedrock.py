"""AWS's SDK for Bedrock: Converse and InvokeModel, streamed and not.

What it signs is its endpoint's host, so real AWS takes such a call only where the host is right.
"""

# mypy: disable-error-code="import-not-found, import-untyped"

import json

import boto3

MODEL = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
TURN = {"role": "user", "content": [{"text": "time people year"}]}
BODY = json.dumps(
    {
        "anthropic_version": "bedrock-2023-05-31",
        "max_tokens": 200,
        "messages": [{"role": "user", "content": "time people year"}],
    }
)

client = boto3.client("bedrock-runtime")
whole = client.converse(modelId=MODEL, messages=[TURN])
events = [*client.converse_stream(modelId=MODEL, messages=[TURN])["stream"]]
invoked = json.loads(client.invoke_model(modelId=MODEL, body=BODY)["body"].read())
streamed = client.invoke_model_with_response_stream(modelId=MODEL, body=BODY)["body"]
chunks = [json.loads(event["chunk"]["bytes"]) for event in streamed]
del whole["ResponseMetadata"]  # holds the date
print(json.dumps([whole, events, invoked, chunks]))
