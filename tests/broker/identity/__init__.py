"""Tests of broker.identity."""
