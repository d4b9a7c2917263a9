"""The SDKs and agents that people really use, through the whole product, and none the wiser."""
