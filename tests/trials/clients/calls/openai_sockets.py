"""OpenAI's SDK over WebSockets: two turns of Realtime, then two responses."""

import json
from typing import Any

import openai

TURNS = ("time people year", "life hand part")


def realtime(client: openai.OpenAI) -> list[object]:
    """A conversation of two turns."""
    heard: list[Any] = []
    with client.realtime.connect(model="gpt-realtime") as connection:
        heard.append(connection.recv())
        for text in TURNS:
            part: Any = {"type": "input_text", "text": text}
            connection.conversation.item.create(
                item={"type": "message", "role": "user", "content": [part]}
            )
            connection.response.create()
            while heard[-1].type != "response.done":
                heard.append(connection.recv())
            heard.append(heard[0])  # so that the next turn waits for its own end
    return [event.to_dict() for event in heard]


def responses(client: openai.OpenAI) -> list[object]:
    """Two responses over one connection."""
    heard: list[Any] = []
    with client.responses.connect() as connection:
        for text in TURNS:
            connection.response.create(model="gpt-5.4-mini", input=text)
            heard.append(connection.recv())
            while heard[-1].type != "response.completed":
                heard.append(connection.recv())
    return [event.to_dict() for event in heard]


with openai.OpenAI() as client:
    print(json.dumps([realtime(client), responses(client)], default=str))
