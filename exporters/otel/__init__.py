"""OpenTelemetry: spans and metrics over OTLP."""
