"""Fixtures that every test may ask for."""

pytest_plugins = [
    "tests.fixtures.demo",
    "tests.fixtures.postgres",
    "tests.fixtures.sshd",
]
