"""What system tests stand on: the built programs, the simulator and the stack, each behind a small class."""

from stack import wait_for

from .program import SANITIZED, Program, binary, run_program

__all__ = ["SANITIZED", "Program", "binary", "run_program", "wait_for"]
