"""The gateway's door: keys, callers and requests, as what `proxy.gateway` decides about."""
