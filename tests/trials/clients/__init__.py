"""Runs real SDKs and agents through the whole product, and checks that none of them notices."""
