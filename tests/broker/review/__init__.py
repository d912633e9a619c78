"""Tests of broker/review."""
