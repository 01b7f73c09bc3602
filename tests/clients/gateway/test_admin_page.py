"""The admin page in a real browser: it fits every window, is readable in both schemes, and works by keyboard.

Long names and a refused table are on it, which is when a page breaks. Needs Debian's Chromium.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import pytest_asyncio

from tests.support.browser import Browser
from tests.support.gateway_process import Client, FarCoordinator, FarRoutes, backend, document, gateway, route

pytestmark = [
    pytest.mark.skipif(Browser.program() is None, reason="no browser here: apt-get install chromium"),
    pytest.mark.asyncio(loop_scope="module"),
]

LONG = "a-namespace-that-is-as-long-as-kubernetes-allows-0123456789-abc"
READY = "document.querySelectorAll('#routes .pill').length > 3"


class Page:
    """The page of a running gateway, open in a browser."""

    def __init__(self, browser: Browser, client: Client) -> None:
        self.browser = browser
        self._url = f"{client.management}/ui/admin/"

    async def open(self, width: int, scheme: str = "light") -> None:
        await self.browser.prefer(scheme)
        await self.browser.size(width)
        await self.browser.open(self._url, READY)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def page(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Page]:
    directory: Path = tmp_path_factory.mktemp("page")
    async with AsyncExitStack() as stack:
        routes = await stack.enter_async_context(FarRoutes(directory))
        coordinator = await stack.enter_async_context(FarCoordinator())
        names = ["etl", "reporting", f"runtime-{LONG}"]
        table = [
            route(name, backend(name, coordinator.port, namespace=LONG), hostname=f"{name[:20]}.{LONG}.example.com")
            for name in names
        ]
        routes.publish(document(*table, route("down", backend("down", 1))))
        client = await stack.enter_async_context(gateway(routes))
        await routes.watched()
        routes.publish("routes: [\n  broken")
        browser = await stack.enter_async_context(Browser(directory))
        yield Page(browser, client)


@pytest.mark.parametrize("width", [320, 360, 520, 768, 1280, 1920])
async def test_it_is_never_wider_than_its_window(page: Page, width: int) -> None:
    await page.open(width)
    assert await page.browser.evaluate("document.documentElement.scrollWidth") <= width
    # What sticks out of its own box would be cut off; only the cards scroll.
    out = """[...document.querySelectorAll('body *')]
        .filter((one) => one.scrollWidth > one.clientWidth + 1 && one.clientWidth && !one.closest('.scroll, input'))
        .map((one) => one.className || one.tagName)"""
    assert await page.browser.evaluate(out) == []
    assert page.browser.errors == []


async def test_a_table_scrolls_in_its_card(page: Page) -> None:
    await page.open(360)
    card = "document.querySelector('.scroll')"
    assert await page.browser.evaluate(f"{card}.scrollWidth > {card}.clientWidth")
    await page.browser.evaluate(f"{card}.scrollLeft = 1e6")
    last = await page.browser.evaluate(f"{card}.querySelector('th:last-child').getBoundingClientRect().right")
    assert last <= 360


async def test_a_refused_table_is_said_first(page: Page) -> None:
    await page.open(1280)
    assert "not used" in await page.browser.evaluate("document.querySelector('.banner.bad strong').textContent")


async def test_the_filter_narrows_the_rows(page: Page) -> None:
    await page.open(1280)
    count = "document.querySelectorAll('#routes tr').length"
    assert await page.browser.evaluate(count) == 4
    await page.browser.evaluate(
        "document.getElementById('filter').value = 'report';"
        "document.getElementById('filter').dispatchEvent(new Event('input'))"
    )
    assert await page.browser.evaluate(count) == 1


async def test_the_keyboard_reaches_everything_and_shows_where_it_is(page: Page) -> None:
    await page.open(520)
    reached = []
    for _ in range(3):
        await page.browser.press("Tab")
        focused = "document.activeElement"
        reached.append(await page.browser.evaluate(f"{focused}.id || {focused}.getAttribute('aria-labelledby')"))
        assert await page.browser.evaluate(f"getComputedStyle({focused}).outlineStyle") == "solid"
    assert reached == ["filter", "routes-title", "workers-title"]


CONTRAST = """(() => {
  const parts = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = (colour) => {
    const linear = (v) => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
    const [r, g, b] = parts(colour).map((v) => linear(v / 255));
    return .2126 * r + .7152 * g + .0722 * b;
  };
  const ground = (node) => {
    for (; node; node = node.parentElement) {
      const colour = getComputedStyle(node).backgroundColor;
      if (parts(colour)[3] !== 0) return colour;
    }
  };
  const says = (node) => [...node.childNodes].some((child) => child.nodeType === 3 && child.data.trim());
  const texts = [...document.querySelectorAll('body *')].filter((one) => says(one) && one.checkVisibility());
  return texts.map((one) => {
    const [a, b] = [light(getComputedStyle(one).color), light(ground(one))].sort((x, y) => y - x);
    return [(a + .05) / (b + .05), one.className || one.tagName];
  }).sort((x, y) => x[0] - y[0])[0];
})()"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_every_text_can_be_read(page: Page, scheme: str) -> None:
    await page.open(1280, scheme)
    contrast, where = await page.browser.evaluate(CONTRAST)
    assert contrast >= 4.5, where  # WCAG 2 AA
