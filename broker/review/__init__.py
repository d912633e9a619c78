"""Reviews: a statement that waits for people, from being asked to being used once.

life     the life of one review as a table of states, and who may answer; pure
shapes   a review as the contract's JSON object; pure
desk     where statements wait: stored, audited, told, answered (implements ports.Reviews)
"""
