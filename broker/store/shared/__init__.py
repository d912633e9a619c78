"""The store that several nodes share: one PostgreSQL database.

link      the connection that calls go over: quick or not at all, mended in the background
schema    schema/0001.sql ..., applied in order by whichever node comes first
sessions  sessions and serials        reviews  reviews, changed by one node at a time
locks     locks                       tokens   ID tokens that were used
nodes     leases, and what all nodes together have open
listener  wakes this node when another one has changed something
"""
