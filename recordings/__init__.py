"""Recordings: write, find and play asciicast files; stands alone, imports nothing of the broker.

asciicast   events and lines, both ways; no files
writer      one open recording: append, flush, sync, hash; a full disk is an answer
library     all recordings under one root: list, find, read
player      time: what to show and after what delay; speed, idle limit, seek, markers
errors      what can go wrong
"""
