"""What docs/protocol.md says of bytes: kinds of frames, how bodies look as JSON, and what is hashed of what."""

import hashlib
import struct

import msgpack

SUBPROTOCOL = "interline.v1"

HELLO, SEND, ACK, EPHEMERAL, PING, ROSTER_QUERY, REQUEST, SHARED_SEND, GROUP_SEND = range(1, 10)
SEALED_SEND, SEALED_SHARED_SEND, GROUP_EPHEMERAL = 11, 13, 14
WELCOME, DELIVER, RECEIPT, REFUSAL, GAP, LIVE, SIGNAL, PONG, ROSTER, ERROR, ANSWER = range(32, 43)
SHARED_DELIVER, GROUP_DELIVER, PRESENCE, GROUP_SIGNAL = 44, 45, 48, 49

ROSTER_STALE, GROUP_STALE = 301, 311
LATER = {221, 401, 402, 403, 405}
KEY_KINDS = {
    "identity": 1,
    "signedPreKey": 2,
    "lastResortKyber": 3,
    "lastResortKeyPackage": 4,
    "preKey": 16,
    "kyberPreKey": 17,
    "keyPackage": 18,
}
ONE_TIME = {"preKey", "kyberPreKey", "keyPackage"}
NODE = bytes(20)
SEALED = b"\0\0" + b"\xff" * 16 + b"\0\0"


def frames_of(message):
    """Every frame of one message."""
    unpacker = msgpack.Unpacker(raw=False, strict_map_key=True, max_buffer_size=len(message))
    unpacker.feed(message)
    return list(unpacker)


def shown(value):
    """A body as JSON."""
    if isinstance(value, bytes):
        return "0x" + value.hex()
    if isinstance(value, dict):
        return {key: shown(one) for key, one in value.items()}
    return [shown(one) for one in value] if isinstance(value, list) else value


def meant(value):
    """A body from JSON."""
    if isinstance(value, str) and value.startswith("0x"):
        return bytes.fromhex(value[2:])
    if isinstance(value, dict):
        return {key: meant(one) for key, one in value.items()}
    return [meant(one) for one in value] if isinstance(value, list) else value


def key_digest(device, kind, keys):
    """Of stored keys, by rising ids."""
    parts = [b"interline keys v1", device, struct.pack(">BI", KEY_KINDS[kind], len(keys))]
    for id, key in keys:
        parts += [struct.pack(">QI", id, len(key)), key]
    return hashlib.sha256(b"".join(parts)).digest()
