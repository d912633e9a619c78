"""Screens: they compose widgets, turn keys into questions to the broker, and show the answers."""
