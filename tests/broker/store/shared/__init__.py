"""Tests of broker/store/shared."""
