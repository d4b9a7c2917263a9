"""Reads the content of messages of OpenAI's dialect: text, images, files and audio."""

from proxy.gateway.translation.losses import Malformed, Taker
from proxy.gateway.translation.media import AUDIO, data_url, kind_of
from proxy.gateway.translation.neutral import Cache, Media, Text


def cache_of(one: Taker) -> Cache | None:
    """OpenAI's breakpoint, or Anthropic's as others of this dialect take it."""
    for key, kind in (("prompt_cache_breakpoint", "mode"), ("cache_control", "type")):
        if (inner := one.inner(key)) is not None:
            inner.take(kind)
            ttl = inner.text("ttl")
            inner.rest()
            return Cache(inner.at, ttl)
    return None


def content(message: Taker) -> list[Text | Media]:
    """What a message says: one text, or a list of parts."""
    value = message.take("content")
    at = message.name("content")
    cache = cache_of(message)
    if value is None:
        return []
    if isinstance(value, str):
        return [Text(field=at, text=value, cache=cache)]
    if not isinstance(value, list):
        raise Malformed(f"{at}: expected text or a list of parts")
    if cache is not None:
        message.losses.lose(cache.field)
    parts = (_part(Taker(one, f"{at}[]", message.losses)) for one in value)
    return [one for one in parts if one is not None]


def _part(one: Taker) -> Text | Media | None:
    kind, cache = one.text("type"), cache_of(one)
    found: Text | Media | None = None
    if kind in ("text", "refusal"):
        text = one.text(kind)
        found = Text(field=one.at, text=text, cache=cache, refusal=kind == "refusal")
    elif kind == "image_url" and (image := one.inner("image_url")) is not None:
        found = _image(image, cache)
    elif kind == "file" and (file := one.inner("file")) is not None:
        found = _file(file, cache)
    elif kind == "input_audio" and (audio := one.inner("input_audio")) is not None:
        mime = AUDIO.get(audio.text("format"), "")
        found = Media(field=audio.at, kind="audio", mime=mime, data=audio.text("data"), cache=cache)
        audio.rest()
    elif not one.has(kind):
        one.losses.lose(one.name(kind or "type"))
    one.rest()
    return found


def _image(image: Taker, cache: Cache | None) -> Media:
    url, detail = image.text("url"), image.text("detail")
    image.rest()
    detail = "" if detail == "auto" else detail
    inline = data_url(url)
    at = image.name("url")
    if inline is None:
        return Media(field=at, kind="image", url=url, detail=detail, cache=cache)
    mime, data = inline
    return Media(field=at, kind="image", mime=mime, data=data, detail=detail, cache=cache)


def _file(file: Taker, cache: Cache | None) -> Media | None:
    name, said = file.text("filename"), file.text("file_data")
    name_field = file.name("filename")
    inline = data_url(said)
    if inline is None:
        if said:
            file.losses.lose(file.name("file_data"), "expected a data URL in base64")
        file.rest()  # an id, which only its owner knows
        return None
    file.rest()
    return Media(
        field=file.name("file_data"),
        kind=kind_of(inline[0]),
        mime=inline[0],
        data=inline[1],
        name=name,
        name_field=name_field,
        cache=cache,
    )
