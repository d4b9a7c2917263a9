"""Keeps the shipped prices right: seeds them from public price sets and compares them."""
