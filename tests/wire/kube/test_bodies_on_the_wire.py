"""Bodies that are too large, cut short or not what they say: each is refused with a Status, and the server goes on.

Plan: large bodies with and without a length, on both sides of the limit; a wrong content encoding.
"""

from __future__ import annotations

import io
from collections.abc import AsyncIterator

import pytest

from sandbox.kube.serving import LARGEST_BODY
from tests.support.cluster import Api

MAPS = "/api/v1/namespaces/default/configmaps"


async def pieces(size: int) -> AsyncIterator[bytes]:
    for _ in range(size // 65536 + 1):
        yield b" " * 65536


@pytest.mark.parametrize("chunked", [True, False])
async def test_a_body_beyond_the_limit_is_refused(api: Api, chunked: bool) -> None:
    body = pieces(LARGEST_BODY) if chunked else io.BytesIO(b" " * (LARGEST_BODY + 1))
    async with api.session.post(MAPS, data=body, headers={"Content-Type": "application/json"}) as reply:
        assert reply.status == 413 and (await reply.json())["reason"] == "RequestEntityTooLarge"
    assert (await api.get(MAPS))[0] == 200


async def test_a_body_of_two_mebibytes_is_read(api: Api) -> None:
    text = b'{"metadata":{"name":"a"},"data":{"x":"%s"}}' % (b"y" * (2 << 20))
    async with api.session.post(MAPS, data=io.BytesIO(text), headers={"Content-Type": "application/json"}) as reply:
        (cause,) = (await reply.json())["details"]["causes"]
        assert (reply.status, cause["reason"]) == (422, "FieldValueTooLong")


async def test_what_is_not_compressed_as_it_says_is_a_bad_request(api: Api) -> None:
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    async with api.session.post(MAPS, data=b'{"metadata":{"name":"a"}}', headers=headers) as reply:
        assert reply.status == 400 and (await reply.json())["reason"] == "BadRequest"
