"""Shell targets: an OpenSSH server or a local program, judged line by line.

session (command, script, interactive) ──► parser ──► gate ──► runner (ssh_target | local_target)
asking (waits, refusals)   place (directory, exports, umask)   outlet (mask, record, deliver)
"""
