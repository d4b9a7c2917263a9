"""Tamper evidence: a Merkle tree over rows, the leaves that commit to them, and signed heads.

Values in, values out: `exporters.clickhouse.evidence` stores them, `proxy.evidence` decides when.
"""
