"""The providers' SDKs, imported when a test first uses one."""

from typing import TYPE_CHECKING

from support.late import Late

if TYPE_CHECKING:
    import anthropic
    import genai_prices
    import openai
    from google import genai
else:
    anthropic = Late("anthropic")
    genai = Late("google.genai")
    genai_prices = Late("genai_prices")
    openai = Late("openai")

__all__ = ["anthropic", "genai", "genai_prices", "openai"]
