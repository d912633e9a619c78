"""Tests of broker.policy."""
