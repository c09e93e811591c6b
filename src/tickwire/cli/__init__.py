"""The command line: one file a command.

What only a command at work needs is imported in its functions: so help, completion and others start faster.
"""
