"""Tests of broker.control."""
