"""Tests of broker/shell, mirrored."""
