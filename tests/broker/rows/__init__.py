"""Rows by the block: both ways to do it give the same bytes."""
