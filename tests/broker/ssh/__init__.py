"""The front door, piece by piece."""
