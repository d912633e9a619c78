"""Widgets: each shows one value, made of tui.text's Content alone, and posts messages.

plain    a piece of text         heading, keybar   the first and the last line
rows     text that scrolls       picker, statement, terminal   rows with a meaning
queue, request                   what a request looks like, as text
"""
