"""The store: sessions, reviews and serials of one node, in one SQLite file.

sqlite    the open store: migrations, sessions, serials, reviews
records   a session as it is kept, and as the contract's JSON object; pure
rows      identities and reviews as rows, both ways; pure
schema/   0001.sql ..., applied in order
"""
