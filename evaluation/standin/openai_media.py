"""OpenAI's images and transcriptions, with usage in tokens as newer models report it."""

import base64
from random import Random

from evaluation.standin.answers import (
    CREATED,
    Answer,
    Request,
    Step,
    Tokens,
    counted,
    encode,
    words,
)
from evaluation.standin.openai_files import form

IMAGE_TOKENS = 272  # gpt-image-1, low quality, 1024 x 1024
IMAGE_BYTES = 64
AUDIO_BYTES_PER_TOKEN = 3_200  # a tenth of a second of 16-bit audio at 16 kHz


def images(request: Request) -> Answer:
    """`POST …/images/generations`."""
    count = int(request.body.get("n") or 1)
    prompt, made = counted(request.body.get("prompt")), IMAGE_TOKENS * count
    picture = base64.b64encode(Random(request.seed).randbytes(IMAGE_BYTES)).decode()
    document = {
        "created": CREATED,
        "data": [{"b64_json": picture} for _ in range(count)],
        "size": "1024x1024",
        "quality": "low",
        "output_format": "png",
        "usage": {
            "input_tokens": prompt,
            "input_tokens_details": {"text_tokens": prompt, "image_tokens": 0},
            "output_tokens": made,
            "total_tokens": prompt + made,
        },
    }
    return Answer(
        steps=(Step(encode(document), made),),
        tokens=Tokens(input=prompt, output=made),
        operation="openai.images",
    )


def transcription(seed: str, raw: bytes, content_type: str) -> Answer:
    """`POST …/audio/transcriptions`, a multipart form; tokens are by the size of its file."""
    _, content = form(raw, content_type).get("file", ("", b""))
    audio = len(content) // AUDIO_BYTES_PER_TOKEN + 1
    text = "".join(words(Random(seed), audio))
    document = {
        "text": text,
        "usage": {
            "type": "tokens",
            "input_tokens": audio,
            "input_token_details": {"text_tokens": 0, "audio_tokens": audio},
            "output_tokens": audio,
            "total_tokens": 2 * audio,
        },
    }
    return Answer(
        steps=(Step(encode(document), audio),),
        tokens=Tokens(input=audio, output=audio),
        operation="openai.transcriptions",
    )
