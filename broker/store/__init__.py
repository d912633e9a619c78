"""The store: sessions, reviews, locks and serials, of one node or of all that share a database.

contract   what a store is to the rest of the broker
opening    opens the one that the configuration names
sqlite     one file of one node: migrations, sessions, serials, reviews
locks, used_tokens, alone   the rest of it
shared/    one PostgreSQL database for several nodes
records    a session as it is kept, and as the contract's JSON object; pure
rows       identities and reviews as rows, both ways; pure
schema/    0001.sql ..., applied in order (to SQLite)
"""
