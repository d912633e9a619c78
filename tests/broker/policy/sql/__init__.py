"""Tests of broker.policy.sql."""
