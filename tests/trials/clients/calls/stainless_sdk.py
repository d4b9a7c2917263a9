"""An SDK that Stainless generates, like OpenAI's: its arguments are module, class and model."""

# mypy: disable-error-code="import-not-found"

import importlib
import json
import os
import sys

_, _, module, kind, model = sys.argv
ASKED = {"model": model, "messages": [{"role": "user", "content": "time people year"}]}
make = getattr(importlib.import_module(module), kind)
with make(api_key=os.environ["OPENAI_API_KEY"]) as client:
    found = [client.chat.completions.create(**ASKED)]
    found += client.chat.completions.create(**ASKED, stream=True)
    print(json.dumps([one.to_dict() for one in found]))
