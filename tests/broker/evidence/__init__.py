"""Tests of broker/evidence."""
