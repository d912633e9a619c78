"""Tests of the broker, mirroring its packages."""
