"""Tests of broker/policy/shell, mirrored."""
