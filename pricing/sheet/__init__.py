"""Reads tariff files (TOML) into tariffs and checks them."""
