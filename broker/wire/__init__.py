"""PostgreSQL's v3 protocol as values: bytes in, things to do out; no socket, no clock.

startup       what a client says first: a session, a cancellation, or something we do not offer
messages      frames and their bounds, the parts of a body, the messages that we build ourselves
frontend      the client's messages that the relay takes apart
notices       ErrorResponse and NoticeResponse: their fields, masked
rows          RowDescription and DataRow, and what the relay needs of a masker
actions       what a conversation wants done
ledger        what the server still owes an answer to, and which names stand for which statements
words         what a text may do by the words in it, and what makes it unreadable
cursors       which cursor a text fetches from, so that slices count together
bounds        approved writes that may change only so many rows
situations    where a statement that is held stands, for those who decide about it
values        bound values as people read them
requests      the client's half of a conversation: judge, hold, refuse, forward
answers       the server's half: match answers to what was asked, mask, bound, rewrite refusals
conversation  both halves as one object, which `broker.postgres.relay` drives
"""
