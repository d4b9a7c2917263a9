"""Bedrock's wire formats."""
