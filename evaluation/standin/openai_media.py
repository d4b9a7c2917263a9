"""OpenAI's images and transcriptions, as their newer models report them: in tokens."""

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
AUDIO_BYTES_PER_TOKEN = 3_200  # a tenth of a second of 16-bit sound at 16 kHz


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
    """`POST …/audio/transcriptions`, a multipart form: the larger its file, the more it costs."""
    _, content = form(raw, content_type).get("file", ("", b""))
    sound = len(content) // AUDIO_BYTES_PER_TOKEN + 1
    text = "".join(words(Random(seed), sound))
    document = {
        "text": text,
        "usage": {
            "type": "tokens",
            "input_tokens": sound,
            "input_token_details": {"text_tokens": 0, "audio_tokens": sound},
            "output_tokens": sound,
            "total_tokens": 2 * sound,
        },
    }
    return Answer(
        steps=(Step(encode(document), sound),),
        tokens=Tokens(input=sound, output=sound),
        operation="openai.transcriptions",
    )
