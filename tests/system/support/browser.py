"""Headless Chromium, driven over a pipe of the DevTools protocol: no driver, no port that others could take."""

import json
import os
import queue
import shutil
import subprocess
import threading

from stack import wait_for

FLAGS = (
    "--headless",
    "--remote-debugging-pipe",  # commands on descriptor 3, answers and events on 4, each closed by a NUL
    "--no-sandbox",  # which root can't have
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    # Nothing but what the page asks for goes out.
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=800,600",
)
DEADLINE = 30
# Keys that are more than a character: code, and the text that the page gets.
KEYS = {"Tab": (9, ""), "Enter": (13, "\r")}


def installed():
    return shutil.which("chromium")


class Browser:
    """One page at a time. Ends with `close`, or with the end of the pipe."""

    def __init__(self, directory, environment):
        commands, self._commands = os.pipe()
        self._answers, answers = os.pipe()
        # Only a shell can give a child descriptors of its own choice.
        moved = f'exec "$@" 3<&{commands} 4>&{answers} {commands}<&- {answers}>&-'
        self._process = subprocess.Popen(
            ["bash", "-c", moved, "bash", installed(), *FLAGS, f"--user-data-dir={directory}", "about:blank"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(commands, answers),
            env=os.environ | environment,
        )
        os.close(commands)
        os.close(answers)
        self._number, self._session, self._received = 0, None, queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def open(self, url):
        """Opens the page in a tab of its own and waits until it is loaded."""
        self._session = None
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        failed = self._call("Page.navigate", url=url).get("errorText")
        assert not failed, f"{url}: {failed}"
        wait_for(lambda: self.value("document.readyState") == "complete", DEADLINE, f"{url} to be loaded")

    def value(self, expression):
        """Of an expression of the page."""
        result = self._call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    def type(self, text):
        """As a person does, where the focus is."""
        self._call("Input.insertText", text=text)

    def press(self, key):
        code, text = KEYS[key]
        event = {"key": key, "code": key, "windowsVirtualKeyCode": code}
        self._call("Input.dispatchKeyEvent", type="keyDown" if text else "rawKeyDown", text=text, **event)
        self._call("Input.dispatchKeyEvent", type="keyUp", **event)

    def click(self, selector):
        middle = self.value(
            f"(({{x, y, width, height}}) => [x + width / 2, y + height / 2])"
            f"(document.querySelector({json.dumps(selector)}).getBoundingClientRect())"
        )
        event = {"x": middle[0], "y": middle[1], "button": "left", "clickCount": 1}
        for kind in ("mousePressed", "mouseReleased"):
            self._call("Input.dispatchMouseEvent", type=kind, **event)

    def screenshot(self):
        """The page as PNG, in base64."""
        return self._call("Page.captureScreenshot", format="png")["data"]

    def close(self):
        os.close(self._commands)  # it ends with its pipe
        try:
            self._process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(DEADLINE)
        os.close(self._answers)

    def _call(self, method, **parameters):
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._received.get(timeout=DEADLINE)
            assert answer, f"chromium ended with {self._process.wait()} during {method}"
            if answer.get("id") == self._number:
                assert "error" not in answer, f"{method}: {answer['error']}"
                return answer["result"]

    def _read(self):
        rest = b""
        while data := os.read(self._answers, 65536):
            *messages, rest = (rest + data).split(b"\0")
            for message in messages:
                self._received.put(json.loads(message))
        self._received.put(None)
