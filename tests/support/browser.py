"""A real browser for tests: Debian's Chromium without a window, driven over its DevTools protocol.

    async with Browser(directory) as browser:
        await browser.show("http://127.0.0.1:1234/", width=360)
        assert await browser.evaluate("document.title") == "..."

Only what tests of one page need. `Browser.program()` is None where there is no Chromium.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import shutil
from pathlib import Path
from typing import Any

import aiohttp

from sandbox.processes import end_with_parent

_FLAGS = (
    "--headless=new",
    "--no-sandbox",  # tests may run as root in a container
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-extensions",
    "--disable-sync",
    "--no-first-run",
    "--no-proxy-server",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
)


class Browser:
    """One tab. `errors` are what its console has complained about."""

    def __init__(self, directory: Path) -> None:
        self._profile = directory / "profile"
        self._process: asyncio.subprocess.Process | None = None
        self._http: aiohttp.ClientSession | None = None
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._ids = itertools.count(1)
        self.errors: list[str] = []

    @staticmethod
    def program() -> str | None:
        return shutil.which("chromium") or shutil.which("chromium-browser")

    async def __aenter__(self) -> Browser:
        program = self.program()
        assert program is not None
        self._process = await asyncio.create_subprocess_exec(
            *(program, *_FLAGS, f"--user-data-dir={self._profile}", "about:blank"),
            stderr=asyncio.subprocess.PIPE,
            preexec_fn=end_with_parent,
        )
        try:
            where = await asyncio.wait_for(self._told_where(), 30)
            self._http = aiohttp.ClientSession(trust_env=False)
            async with self._http.get(f"http://{where}/json/list") as reply:
                (page,) = [one for one in await reply.json() if one["type"] == "page"]
            self._socket = await self._http.ws_connect(page["webSocketDebuggerUrl"], max_msg_size=1 << 26)
            for domain in ("Page", "Runtime", "Log"):
                await self.call(f"{domain}.enable")
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._socket is not None:
            await self._socket.close()
        if self._http is not None:
            await self._http.close()
        if self._process is not None:
            if self._process.returncode is None:
                self._process.terminate()
            await self._process.communicate()
        shutil.rmtree(self._profile, ignore_errors=True)

    async def _told_where(self) -> str:
        assert self._process is not None
        assert self._process.stderr is not None
        while line := await self._process.stderr.readline():
            _, found, url = line.decode("utf-8", "replace").partition("DevTools listening on ws://")
            if found:
                return url.split("/")[0]
        raise RuntimeError("the browser ended before it was there")

    async def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """One command of the protocol, and its result."""
        assert self._socket is not None
        number = next(self._ids)
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        while True:
            message = await self._socket.receive_json(timeout=20)
            if message.get("method") == "Log.entryAdded" and message["params"]["entry"]["level"] == "error":
                self.errors.append(message["params"]["entry"]["text"])
            elif message.get("method") == "Runtime.exceptionThrown":
                self.errors.append(message["params"]["exceptionDetails"]["text"])
            elif message.get("id") == number:
                if "error" in message:
                    raise RuntimeError(f"{method}: {message['error']}")
                result: dict[str, Any] = message["result"]
                return result

    async def size(self, width: int, height: int = 900) -> None:
        await self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False
        )

    async def prefer(self, scheme: str) -> None:
        """Ask for the page's light or dark colours."""
        await self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    async def open(self, url: str, shown: str) -> None:
        """Load a page and wait until the expression `shown` is true in it."""
        await self.call("Page.navigate", url=url)
        async with asyncio.timeout(20):
            while await self.evaluate(f"Boolean({shown})") is not True:
                await asyncio.sleep(0.02)

    async def evaluate(self, expression: str) -> Any:
        result = await self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            raise RuntimeError(f"{expression}: {result['exceptionDetails']['text']}")
        return result["result"].get("value")

    async def press(self, key: str) -> None:
        for kind in ("rawKeyDown", "keyUp"):
            await self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=9)

    async def picture(self) -> bytes:
        """The whole page as PNG."""
        shot = await self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        return base64.b64decode(shot["data"])
