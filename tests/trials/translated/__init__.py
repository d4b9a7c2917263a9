"""Runs real SDKs and agents through the gateway, each served by providers of other dialects."""
