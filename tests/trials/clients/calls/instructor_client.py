"""Instructor: a typed answer, by a tool that it makes of the type."""

# mypy: disable-error-code="import-not-found"

import json

import instructor
import openai
from pydantic import BaseModel


class Weather(BaseModel):
    """What the stand-in always says when it is given a tool."""

    city: str
    unit: str


client = instructor.from_openai(openai.OpenAI())
asked = {
    "model": "gpt-5.4-mini",
    "response_model": Weather,
    "messages": [{"role": "user", "content": "time people year"}],
}
whole = client.chat.completions.create(**asked)
print(json.dumps([whole.model_dump()]))
