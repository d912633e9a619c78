"""Masking: tables of values, attacks on the stream, and any split of the bytes."""
