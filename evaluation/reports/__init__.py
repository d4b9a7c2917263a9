"""Reports on runs: estimates with intervals, differences, verdicts; as JSON, text and HTML."""
