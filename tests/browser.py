"""Headless Chromium, driven through its debugging pipe (Chrome DevTools Protocol), for the tests of the page."""

import json
import os
import select
import shutil
import subprocess

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
# Seconds after which a page that says nothing answers no more, and how much is read at once.
LIMIT, PART = 120, 1 << 20


class Browser:
    """A browser without windows; `faults` and `asked` are what the pages have done that they must not."""

    def __init__(self, folder):
        here, there = os.pipe(), os.pipe()
        command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
        command += [
            f"--user-data-dir={folder}",
            "--disable-background-networking",
            "--remote-debugging-pipe",
            "about:blank",
        ]
        # The browser reads from its file 3 and writes to 4.
        shell = ["bash", "-c", f'exec "$@" 3<&{here[0]} 4>&{there[1]}', "bash", *command]
        self.process = subprocess.Popen(
            shell, pass_fds=(here[0], there[1]), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        os.close(here[0])
        os.close(there[1])
        self.to, self.back = here[1], there[0]
        self.number, self.rest = 0, b""
        self.faults, self.asked, self.seen = [], [], set()
        # Of its own page alone a browser draws frames.
        targets = self.call("Target.getTargets")["targetInfos"]
        target = next(one["targetId"] for one in targets if one["type"] == "page")
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self.call("Emulation.setFocusEmulationEnabled", enabled=True)
        for part in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{part}.enable")

    def close(self):
        """End the browser."""
        self.process.kill()
        self.process.wait()
        os.close(self.to)
        os.close(self.back)

    def call(self, method, **given):
        """Return what a command of the protocol answers."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": given}
        if not method.startswith("Target."):
            message["sessionId"] = self.session
        os.write(self.to, json.dumps(message).encode() + b"\0")
        while True:
            told = self._read()
            if told.get("id") == self.number:
                assert "error" not in told, told
                return told["result"]
            self._note(told)

    def _read(self):
        while b"\0" not in self.rest:
            assert select.select([self.back], [], [], LIMIT)[0], f"no answer within {LIMIT} s"
            part = os.read(self.back, PART)
            assert part, "the browser ended"
            self.rest += part
        message, _, self.rest = self.rest.partition(b"\0")
        return json.loads(message)

    def _note(self, event):
        given, method = event.get("params", {}), event.get("method")
        self.seen.add(method)
        if method == "Runtime.exceptionThrown":
            self.faults.append(given["exceptionDetails"])
        elif method == "Runtime.consoleAPICalled":
            self.faults.append([part.get("value") for part in given["args"]])
        elif method == "Log.entryAdded":
            self.faults.append(given["entry"]["text"])
        elif method == "Network.requestWillBeSent" and not given["request"]["url"].startswith(("data:", "blob:")):
            self.asked.append(given["request"]["url"])

    def open(self, path, width=1200, height=900, scheme="light", script=True, at=""):
        """Show a file, in a window of so many pixels, with or without its script; `at`: the end of its address."""
        self.call("Emulation.setScriptExecutionDisabled", value=not script)
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.call("Emulation.setDeviceMetricsOverride", **size)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.faults, self.asked, self.seen = [], [], set()
        # Another end of the address alone would not load it anew.
        self.call("Page.navigate", url="about:blank")
        while "Page.loadEventFired" not in self.seen:
            self._note(self._read())
        self.faults, self.asked, self.seen = [], [], set()
        self.call("Page.navigate", url=path.as_uri() + at)
        while "Page.loadEventFired" not in self.seen:
            self._note(self._read())
        assert self.asked.pop(0) == path.as_uri()

    def run(self, script):
        """Return what the body of an asynchronous function returns, that runs in the page."""
        expression = f"(async () => {{ {script} }})()"
        done = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in done, done["exceptionDetails"]
        return done["result"].get("value")

    def press(self, key):
        """Press a key and let it go."""
        codes = {"Tab": 9, "Enter": 13, " ": 32, "ArrowLeft": 37, "ArrowRight": 39}
        text = {"Enter": "\r", " ": " "}.get(key)
        for kind in ("keyDown", "keyUp"):
            given = {"text": text} if text and kind == "keyDown" else {}
            self.call("Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=codes[key], **given)
