"""Grows the Merkle tree with each row that the store accepted, signs its heads, and proves rows."""
