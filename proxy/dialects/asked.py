"""Request parameters that are lists, and those of embeddings: by other names in each dialect."""

from collections.abc import Mapping

import msgspec

from proxy.dialects.draft import Draft
from proxy.dialects.values import figure, integer, text

TEXTS_MAX = 16  # of a list
TEXT_CHARS_MAX = 64  # of each: a longer stop sequence is more content than parameter
# By dialect: OpenAI and Ollama, Voyage and Mistral, Cohere, Titan on Bedrock.
_FORMATS = ("encoding_format", "output_dtype", "embedding_types", "embeddingTypes")
# And Gemini, and DashScope.
_SIZES = ("dimensions", "output_dimension", "outputDimensionality", "dimension")


def note_numbers(draft: Draft, options: Mapping[str, object], names: Mapping[str, str]) -> None:
    """Note the numbers in `options` under the attributes that `names` gives."""
    for name, attribute in names.items():
        if (value := figure(options.get(name))) is not None:
            draft.attributes[attribute] = value


def note_stops(draft: Draft, stops: object) -> None:
    """Note the stop sequences: a text or a list of texts."""
    _note_texts(draft, "request.stop_sequences", stops)


def note_embeddings(draft: Draft, *options: Mapping[str, object]) -> None:
    """Note format and size of the embeddings that `options` ask for."""
    for holder in options:
        for name in _FORMATS:
            _note_texts(draft, "request.encoding_formats", holder.get(name))
        for name in _SIZES:
            if (size := integer(holder.get(name))) is not None:
                draft.attributes["embeddings.dimension.count"] = size


def _note_texts(draft: Draft, attribute: str, value: object) -> None:
    """Note a list as JSON, since attributes are scalars; a list of one text as that text."""
    listed = value if isinstance(value, list) else [value]
    kept = [said[:TEXT_CHARS_MAX] for one in listed[:TEXTS_MAX] if (said := text(one))]
    if len(kept) == 1 and not kept[0].startswith("["):
        draft.attributes[attribute] = kept[0]
    elif kept:
        draft.attributes[attribute] = msgspec.json.encode(kept).decode()
