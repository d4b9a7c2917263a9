"""Tariff files as TOML, read into rules and checked."""
