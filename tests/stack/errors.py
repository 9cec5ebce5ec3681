"""The one error that callers see."""


class StackError(Exception):
    """Something about the stack cannot be done; the message is meant for the person at the terminal."""
