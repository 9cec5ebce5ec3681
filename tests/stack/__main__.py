"""The command line of the stack."""

import argparse
import os
import shlex
import signal
import subprocess
import sys

from . import marks
from .errors import StackError
from .instance import Stack

STOP_DEADLINE = 30
DESCRIPTION = """\
A real Kafka and a real MongoDB on 127.0.0.1, each instance on ports and in a directory of its own.

  stack run -- COMMAND...   both servers for as long as COMMAND runs
  eval "$(stack up)"        start them and set the environment; `stack down` ends and removes them
  stack restart kafka       a server of the instance, on the same ports and data
"""
EPILOGUE = """\
environment:
  STACK_DIR             the instance to act on, as --dir
  STACK_MONGOD          a mongod to run instead of the one of PATH or the pinned download
  STACK_JAVA_OPTIONS    Kafka's options of java, for others than those that make it start quickly and stay small
  STACK_KAFKA_BROKERS   a broker that is there already; it is used and never stopped
  STACK_MONGODB_URI     likewise a MongoDB replica set
"""
ACTIONS = ("start", "stop", "kill", "restart", "pause", "resume")


def main():
    arguments = parse()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda received, _: sys.exit(128 + received))
    try:
        sys.exit(arguments.action(arguments))
    except StackError as error:
        sys.exit(f"stack: {error}")
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)


def parse():
    parser = argparse.ArgumentParser(
        prog="stack",
        description=DESCRIPTION,
        epilog=EPILOGUE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    def command(name, action, text):
        sub = commands.add_parser(name, help=text, description=text)
        sub.add_argument("--dir", help="directory of the instance; data in it stays (default: temporary)")
        sub.set_defaults(action=action)
        return sub

    command("up", up, "start both servers and leave them running; prints the environment")
    command("down", down, "stop both servers; removes data unless it is in a --dir of yours")
    command("status", status, "which servers run, or which instances there are")
    command("env", env, "print the environment of a running instance")
    run_parser = command("run", run, "start both, run a command with their environment, stop both")
    run_parser.add_argument("command", nargs=argparse.REMAINDER, metavar="-- COMMAND...")
    topic = command("topic", create_topic, "create a topic")
    topic.add_argument("name")
    topic.add_argument("partitions", type=int, nargs="?", default=1)
    lag_parser = command("lag", lag, "print how many records of a topic a group has not committed")
    lag_parser.add_argument("group")
    lag_parser.add_argument("topic")
    for name in ACTIONS:
        sub = command(name, control, f"{name} one server of an instance")
        sub.add_argument("server", choices=("kafka", "mongodb"))
        sub.set_defaults(method=name)
    return parser.parse_args()


def up(arguments):
    stack = Stack(arguments.dir).start(owned=False)
    print_environment(stack)


def down(arguments):
    chosen(arguments).stop()


def env(arguments):
    print_environment(chosen(arguments))


def status(arguments):
    directory = arguments.dir or os.environ.get("STACK_DIR")
    for found in [directory] if directory else marks.instances():
        stack = Stack.find(found)
        print(found)
        for server, address in ((stack.kafka, stack.kafka.brokers), (stack.mongodb, stack.mongodb.uri)):
            print(f"  {server.name:8} {address:48} {server.state()}")


def run(arguments):
    command = arguments.command[1:] if arguments.command[:1] == ["--"] else arguments.command
    if not command:
        raise StackError("run what? stack run -- COMMAND...")
    with Stack(arguments.dir) as stack:
        try:
            child = subprocess.Popen(command, env=os.environ | stack.child_environment())
        except OSError as error:
            raise StackError(f"cannot run {command[0]}: {error.strerror}") from error
        return wait_for_child(child)


def wait_for_child(child):
    """The exit status of the child, as a shell gives it. The child gets its chance to end in order."""
    try:
        code = child.wait()
    except KeyboardInterrupt:  # the terminal has sent it to the child as well
        child.wait(STOP_DEADLINE)
        raise
    except SystemExit:
        child.terminate()
        child.wait(STOP_DEADLINE)
        raise
    return 128 - code if code < 0 else code


def control(arguments):
    getattr(chosen(arguments).server(arguments.server), arguments.method)()


def create_topic(arguments):
    chosen(arguments).kafka.create_topic(arguments.name, arguments.partitions)


def lag(arguments):
    print(chosen(arguments).kafka.lag(arguments.group, arguments.topic))


def chosen(arguments):
    """The instance of --dir, of STACK_DIR, or the only one that runs."""
    directory = arguments.dir or os.environ.get("STACK_DIR")
    if directory:
        return Stack.find(directory)
    running = marks.instances()
    if len(running) != 1:
        listed = "".join(f"\n  {directory}" for directory in running)
        raise StackError(f"which one? name it with --dir:{listed}" if running else "none is running")
    return Stack.find(running[0])


def print_environment(stack):
    for name, value in stack.environment().items():
        print(f"export {name}={shlex.quote(value)}", flush=True)


if __name__ == "__main__":
    main()
