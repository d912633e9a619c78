"""The judge: statements are taken apart by their grammar (sql, shell) and weighed by the rules.

statement ──► sql | shell ──► Facts (parts) ──► decide (rules) ──► Verdict
"""
