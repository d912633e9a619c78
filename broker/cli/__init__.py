"""The `interlock` command. stdout is data, stderr is narration; exit codes are the contract's.

main (words) ──► serve | policy (check, explain, test) | evidence (verify, play) | keys | demo
"""
