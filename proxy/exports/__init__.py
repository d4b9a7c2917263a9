"""What leaves Taximeter as files: conversations with their decisions, and the bill by FOCUS."""
