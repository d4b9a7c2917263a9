"""placeholder"""


def page(found):  # type: ignore[no-untyped-def]
    return ""
