"""Tests of broker.wire."""
