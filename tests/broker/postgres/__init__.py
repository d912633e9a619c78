"""Tests of broker.postgres."""
