"""The numerical oracle: what a function's own values say about its derivatives.

It knows functions of arrays, and nothing of rules or reports.
"""
