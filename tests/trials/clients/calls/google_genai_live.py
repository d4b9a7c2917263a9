"""Google's SDK in a Live session of two turns.  It insists on TLS."""

import asyncio
import json

from google import genai
from google.genai import types

MODEL = "gemini-live-2.5-flash"
TURNS = ("time people year", "life hand part")


async def live() -> list[str]:
    """The text of each turn."""
    client = genai.Client()
    config = types.LiveConnectConfig(response_modalities=[types.Modality.TEXT])
    found = []
    async with client.aio.live.connect(model=MODEL, config=config) as session:
        for text in TURNS:
            turn = types.Content(role="user", parts=[types.Part(text=text)])
            await session.send_client_content(turns=turn, turn_complete=True)
            found.append("".join([said.text or "" async for said in session.receive()]))
    return found


print(json.dumps(asyncio.run(live())))
