"""The content-addressed store behind xet: takes xorbs and shards, and tells how the files are put together again."""

from __future__ import annotations

import hashlib
import struct

from loopback_hub.storage import HubError

_LAST = b"\xff" * 32
_RECORD = 48
_HAS_VERIFICATION, _HAS_METADATA = 1 << 31, 1 << 30


def print_hash(raw):
    """Xet prints a hash as four little-endian words."""
    return b"".join(raw[i : i + 8][::-1] for i in range(0, 32, 8)).hex()


def split_xorb(data):
    """The chunks of a xorb; clients must send them uncompressed (HF_XET_XORB_COMPRESSION_POLICY=none)."""
    chunks, at = [], 0
    while at + 8 <= len(data) and data[at : at + 7] != b"XETBLOB":
        length, scheme = int.from_bytes(data[at + 1 : at + 4], "little"), data[at + 4]
        if scheme:
            raise HubError(501, "this test Hub reads uncompressed xorbs only")
        chunks.append(data[at + 8 : at + 8 + length])
        at += 8 + length
    return chunks


def chunk_ends(data):
    """Where each chunk of a xorb ends, header included, and how many bytes of a file it holds."""
    ends, at = [], 0
    for chunk in split_xorb(data):
        at += 8 + len(chunk)
        ends.append((at, len(chunk)))
    return ends


def take_shard(hub, shard):
    """Rebuild every file that a shard describes, check its sha256 and keep it."""
    at = _RECORD
    while shard[at : at + 32] != _LAST:
        flags, count = struct.unpack("<II", shard[at + 32 : at + 40])
        file_hash = print_hash(shard[at : at + 32])
        at += _RECORD
        data, terms = b"", []
        for place in range(count):
            record = shard[at + _RECORD * place : at + _RECORD * (place + 1)]
            first, last = struct.unpack("<II", record[40:48])
            name = print_hash(record[:32])
            if name not in hub.xorbs:
                raise HubError(400, f"the shard names an unknown xorb {name}")
            part = b"".join(split_xorb(hub.xorbs[name])[first:last])
            terms.append((name, first, last, len(part)))
            data += part
        at += _RECORD * count * (2 if flags & _HAS_VERIFICATION else 1)
        if flags & _HAS_METADATA:
            wanted = print_hash(shard[at : at + 32])
            at += _RECORD
            if wanted != hashlib.sha256(data).hexdigest():
                raise HubError(400, "a file of the shard has another sha256 than it says")
        hub.xet_files[file_hash] = terms
        hub.xet_hashes[hub.put(data)] = file_hash


def reconstruct(hub, file_hash, first, last, place):
    """The answer to a download: the parts that hold bytes ``first`` to ``last`` of a file, and where their bytes lie."""
    if file_hash not in hub.xet_files:
        raise HubError(404, f"no file {file_hash}")
    at, terms, places, skipped = 0, [], {}, None
    for name, start, end, length in hub.xet_files[file_hash]:
        if at + length > first and at <= last:
            skipped = first - at if skipped is None else skipped
            terms.append({"hash": name, "unpacked_length": length, "range": {"start": start, "end": end}})
            ends = chunk_ends(hub.xorbs[name])
            begin = ends[start - 1][0] if start else 0
            places.setdefault(name, []).append(
                {
                    "range": {"start": start, "end": end},
                    "url": f"{place}/{name}",
                    "url_range": {"start": begin, "end": ends[end - 1][0] - 1},
                }
            )
        at += length
    if not terms:
        raise HubError(416, f"the file has {at} bytes")
    return {"offset_into_first_range": skipped, "terms": terms, "fetch_info": places}
