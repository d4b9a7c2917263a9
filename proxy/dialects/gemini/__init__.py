"""Gemini's wire formats, on AI Studio and Vertex."""
