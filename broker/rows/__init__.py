"""DataRow messages by the block: whole rows as they came, masked and shown all at once.

blocks    what the rest of the broker uses: the compiled functions, or else the plain ones
plain     the same in Python; its answers are the ones that count, byte for byte
native.c  the same in C, built when this package is installed and a compiler is there
"""
