"""Write small MaxMind databases: a search tree of 24-bit records, a data section and the metadata.

Source: MaxMind DB file format 2.0. Holds what a test needs: maps, arrays, strings, booleans and unsigned integers,
without pointers inside the data section.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import ip_network
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Uint", "encode", "write_mmdb"]

_TYPE_OF_UINT = {16: 5, 32: 6, 64: 9}
_MARKER = b"\xab\xcd\xefMaxMind.com"


class Uint(NamedTuple):
    """An unsigned integer of 16, 32 or 64 bits; a bare one is written with 32."""

    bits: int
    value: int


def encode(value: object) -> bytes:
    """Return a value as the data section holds it: its type and size, then its payload."""
    match value:
        case bool():
            return _control(14, int(value))
        case str():
            text = value.encode("utf-8")
            return _control(2, len(text)) + text
        case Uint(bits, number):
            payload = number.to_bytes((number.bit_length() + 7) // 8, "big")
            return _control(_TYPE_OF_UINT[bits], len(payload)) + payload
        case int():
            return encode(Uint(32, value))
        case Mapping():
            pairs = b"".join(encode(key) + encode(item) for key, item in value.items())
            return _control(7, len(value)) + pairs
        case Sequence():
            return _control(11, len(value)) + b"".join(map(encode, value))
    raise TypeError(f"this writer has no form for {type(value).__name__}")


def _control(type_: int, size: int) -> bytes:
    """Return the control bytes; types above 7 take a second byte, sizes above 28 one or two more."""
    if size < 29:
        low, more = size, b""
    elif size < 285:
        low, more = 29, bytes([size - 29])
    else:
        low, more = 30, (size - 285).to_bytes(2, "big")
    return (bytes([low, type_ - 7]) if type_ > 7 else bytes([type_ << 5 | low])) + more


class _Leaf(NamedTuple):
    offset: int  # in the data section


class _Tree:
    """A binary tree of networks; a record is another node, a leaf, or nothing."""

    def __init__(self) -> None:
        self.nodes: list[list[int | _Leaf | None]] = [[None, None]]

    def add(self, bits: str, leaf: _Leaf) -> None:
        """Put a leaf at a network's prefix; wider networks must come before those inside them."""
        node = 0
        for bit in map(int, bits[:-1]):
            below = self.nodes[node][bit]
            if not isinstance(below, int):  # what held for the whole network holds for both of its halves
                self.nodes.append([below, below])
                below = self.nodes[node][bit] = len(self.nodes) - 1
            node = below
        self.nodes[node][int(bits[-1])] = leaf

    def encode(self) -> bytes:
        """Return the nodes, each its two records."""
        return b"".join(self._number(record).to_bytes(3, "big") for node in self.nodes for record in node)

    def _number(self, record: int | _Leaf | None) -> int:
        """Return a record as written: a node's number, the number of nodes for nothing, more for a leaf."""
        if isinstance(record, int):
            return record
        return len(self.nodes) + (16 + record.offset if record else 0)


def write_mmdb(path: Path, networks: Mapping[str, object], *, ip_version: int = 6) -> Path:
    """Write a database of these networks and their records, e.g. ``{"81.2.69.0/24": {"country": ...}}``."""
    tree, data = _Tree(), b""
    for bits, record in sorted(
        ((_bits(network, ip_version), record) for network, record in networks.items()),
        key=lambda item: len(item[0]),
    ):
        tree.add(bits, _Leaf(len(data)))
        data += encode(record)
    metadata = {
        "node_count": Uint(32, len(tree.nodes)),
        "record_size": Uint(16, 24),
        "ip_version": Uint(16, ip_version),
        "database_type": "Test",
        "languages": ["en"],
        "binary_format_major_version": Uint(16, 2),
        "binary_format_minor_version": Uint(16, 0),
        "build_epoch": Uint(64, 1_780_000_000),
        "description": {"en": "Made by a test"},
    }
    path.write_bytes(tree.encode() + bytes(16) + data + _MARKER + encode(metadata))
    return path


def _bits(network: str, ip_version: int) -> str:
    """Return a network's prefix in binary; IPv4 stands at ::/96 in a tree of IPv6."""
    parsed = ip_network(network)
    prefix = f"{int(parsed.network_address):0{parsed.max_prefixlen}b}"[: parsed.prefixlen]
    return "0" * 96 + prefix if ip_version > parsed.version else prefix
