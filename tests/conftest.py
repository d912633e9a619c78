"""Fixtures that every test may ask for."""

pytest_plugins = [
    "tests.fixtures.demo",
    "tests.fixtures.oidc_provider",
    "tests.fixtures.postgres",
    "tests.fixtures.sshd",
    "tests.fixtures.stores",
    "tests.fixtures.company",  # after those that it imports
    "tests.fixtures.drivers",
]
