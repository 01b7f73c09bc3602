"""Objects as few bytes: compressed against the first object of their kind.

What a controller renders for one runtime differs from what it renders for the next in names and hashes. So the first
object that is seen serves as the compressor's dictionary for all later ones, which makes a Deployment of 3.4 KiB
250 bytes (1.3 KiB without; as a dict it takes 25 KiB). Equal objects have equal bytes, so packed ones can be compared.
Used by the caches for what is read seldom and must be there when it is; packed bytes mean nothing elsewhere.
"""

from __future__ import annotations

import zlib
from typing import Any

import orjson

Object = dict[str, Any]

#: How far back the compressor looks: what is longer is no dictionary, and gains nothing from one.
_WINDOW = 32 * 1024


class Packing:
    """For objects of one kind."""

    def __init__(self) -> None:
        self._dictionary = b""

    def pack(self, obj: Object) -> bytes:
        raw = orjson.dumps(obj, option=orjson.OPT_SORT_KEYS)
        if len(raw) > _WINDOW:
            return zlib.compress(raw, 1)
        self._dictionary = self._dictionary or raw
        compressor = zlib.compressobj(1, zdict=self._dictionary)
        return compressor.compress(raw) + compressor.flush()

    def unpack(self, packed: bytes) -> Object:
        # Packed bytes say by themselves whether they need the dictionary.
        unpacked: Object = orjson.loads(zlib.decompressobj(zdict=self._dictionary).decompress(packed))
        return unpacked
