"""Tests of broker.console."""
