#!/usr/bin/env python3
"""An Interline client written from docs/protocol.md alone.

Needs python3-websockets and python3-msgpack, and nothing of this repository.
It is driven by lines of JSON: commands on standard input, events on standard
output. Byte strings are hex in both.

  commands  {"do": "connect", "url", "token"}   sign in; resumes where this process stands
            {"do": "send", "to": [account …], "payload"}   to every device of the accounts
            {"do": "ack", "sequence"}           everything up to here is taken
            {"do": "cut"}                       drop the connection without a word
            {"do": "close"}                     end

  events    welcome, live, envelope, gap, receipt, repeated, refused, ended

A send that has no receipt when the connection ends is repeated on the next one
under the same id. Envelopes that come again are not told again.
"""

import asyncio
import json
import os
import sys
from collections import OrderedDict

import msgpack
import websockets

SUBPROTOCOL = "interline.v1"

HELLO, SEND, ACK, EPHEMERAL, PING, ROSTER_QUERY = 1, 2, 3, 4, 5, 6
WELCOME, DELIVER, RECEIPT, REFUSAL, GAP, LIVE, SIGNAL, PONG, ROSTER, ERROR = range(32, 42)

ROSTER_STALE = 301
NODE = bytes(20)
SEALED = b"\0\0" + b"\xff" * 16 + b"\0\0"
RECENT_MAX = 4096


def tell(event, **fields):
    print(json.dumps({"event": event, **fields}), flush=True)


def frames_of(message):
    """Every frame of one message."""
    unpacker = msgpack.Unpacker(raw=False, strict_map_key=True, max_buffer_size=len(message))
    unpacker.feed(message)
    return list(unpacker)


class Send:
    """One envelope for all devices of some accounts, until it has its receipt."""

    def __init__(self, accounts, payload):
        self.id = os.urandom(16)
        self.payload = payload
        # account address → (roster version, device numbers); None until the roster is known
        self.rosters = {account: None for account in accounts}

    def frame(self):
        accounts = [
            [account, version, [[device, self.payload] for device in devices]]
            for account, (version, devices) in self.rosters.items()
        ]
        return [SEND, self.id, accounts]


class Client:
    def __init__(self):
        self.socket = None
        self.reader = None
        self.welcomed = False
        self.unsettled = []  # sends without receipt, oldest first
        self.in_flight = OrderedDict()  # position on this connection → send
        self.position = 0
        self.rosters = {}  # account address → (version, device numbers)
        self.asked = {}  # request number → account address
        self.requests = 0
        self.received = 0  # the highest sequence seen
        self.acked = 0
        self.recent = OrderedDict()  # (sender, id) of envelopes seen lately

    async def connect(self, url, token):
        self.welcomed = False
        self.position = 0
        self.in_flight.clear()
        self.socket = await websockets.connect(
            url, subprotocols=[SUBPROTOCOL], compression=None, max_size=None, ping_interval=None
        )
        await self.write([HELLO, token, self.acked, 0, 0])
        self.reader = asyncio.create_task(self.read(self.socket))

    async def write(self, *frames):
        await self.socket.send(b"".join(msgpack.packb(frame, use_bin_type=True) for frame in frames))

    async def read(self, socket):
        error = None
        try:
            async for message in socket:
                for frame in frames_of(message):
                    if frame[0] == ERROR:
                        error = frame[1]
                    else:
                        await self.take(frame)
        except websockets.ConnectionClosed:
            pass
        if socket is self.socket:
            self.socket = None
        tell("ended", closeCode=socket.close_code, code=error)

    async def take(self, frame):
        kind = frame[0]
        if kind == WELCOME:
            await self.welcome(frame[1])
        elif kind == DELIVER:
            self.deliver(*frame[1:])
        elif kind == GAP:
            self.received = max(self.received, frame[1])
            tell("gap", sequence=frame[1], count=frame[2], reason=frame[3])
        elif kind == LIVE:
            tell("live", sequence=frame[1])
        elif kind == RECEIPT:
            self.receipt(frame[1], frame[2])
        elif kind == REFUSAL:
            await self.refusal(*frame[1:])
        elif kind == ROSTER:
            _, request, account, version, devices = frame
            self.asked.pop(request, None)
            self.rosters[account] = (version, devices)
            await self.send_ready()
        # Kinds that we do not know are stepped over.

    async def welcome(self, body):
        self.welcomed = True
        self.acked = max(self.acked, body["position"])
        tell(
            "welcome",
            device=body["device"].hex(),
            position=body["position"],
            durability=body["durability"],
            payloadBytesMax=body["payloadBytesMax"],
        )
        self.asked.clear()
        if self.unsettled:
            tell("repeated", ids=[send.id.hex() for send in self.unsettled])
        await self.send_ready()

    def deliver(self, sequence, sender, id, time_ms, payload):
        key = (sender, id)
        if sequence <= self.received or key in self.recent:
            self.received = max(self.received, sequence)
            return
        self.received = sequence
        self.recent[key] = True
        if len(self.recent) > RECENT_MAX:
            self.recent.popitem(last=False)
        if sender == NODE:
            tell("notice", sequence=sequence, **msgpack.unpackb(payload))
            return
        if sender == SEALED:
            tell("sealed", sequence=sequence, id=id.hex(), payload=payload.hex())
            return
        tell("envelope", sequence=sequence, sender=sender.hex(), id=id.hex(), payload=payload.hex())

    def receipt(self, position, durability):
        while self.in_flight and next(iter(self.in_flight)) <= position:
            _, send = self.in_flight.popitem(last=False)
            self.unsettled.remove(send)
            tell("receipt", id=send.id.hex(), durability=durability)

    async def refusal(self, position, code, retry_after_ms, detail):
        send = self.in_flight.pop(position)
        rosters = [
            {
                "account": roster["account"].hex(),
                "version": roster["version"],
                "missing": roster["missing"],
                "surplus": roster["surplus"],
            }
            for roster in detail.get("rosters", [])
        ]
        tell("refused", id=send.id.hex(), code=code, retryAfterMs=retry_after_ms, rosters=rosters)
        if code != ROSTER_STALE:
            self.unsettled.remove(send)
            return
        for roster in detail["rosters"]:
            account = roster["account"]
            _, devices = send.rosters.get(account) or (0, [])
            kept = [device for device in devices if device not in roster["surplus"]]
            known = (roster["version"], kept + roster["missing"])
            self.rosters[account] = known
            send.rosters[account] = known
        await self.send_ready()

    async def send(self, accounts, payload):
        self.unsettled.append(Send(accounts, payload))
        if self.welcomed and self.socket is not None:
            await self.send_ready()

    async def send_ready(self):
        """Writes the sends that are not in flight, in order, as far as their rosters are known."""
        flying = set(map(id, self.in_flight.values()))
        frames = []
        for send in self.unsettled:
            if id(send) in flying:
                continue
            unknown = [account for account in send.rosters if account not in self.rosters]
            if unknown:
                frames += self.queries(unknown)
                break
            for account, known in send.rosters.items():
                send.rosters[account] = known or self.rosters[account]
            self.position += 1
            self.in_flight[self.position] = send
            frames.append(send.frame())
        if frames:
            await self.write(*frames)

    def queries(self, accounts):
        for account in accounts:
            if account not in self.asked.values():
                self.requests += 1
                self.asked[self.requests] = account
                yield [ROSTER_QUERY, self.requests, account]

    async def ack(self, sequence):
        self.acked = max(self.acked, sequence)
        await self.write([ACK, sequence])

    def cut(self):
        # What was seen and not acked will come again, and is to be told again.
        self.received = self.acked
        self.recent.clear()
        self.socket.transport.abort()

    async def close(self):
        if self.socket is not None:
            await self.socket.close(1000)
        if self.reader is not None:
            await self.reader


async def main():
    client = Client()
    loop = asyncio.get_running_loop()
    commands = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    async for line in commands:
        command = json.loads(line)
        what = command["do"]
        if what == "connect":
            await client.connect(command["url"], command["token"])
        elif what == "send":
            accounts = [bytes.fromhex(account) for account in command["to"]]
            await client.send(accounts, bytes.fromhex(command["payload"]))
        elif what == "ack":
            await client.ack(command["sequence"])
        elif what == "cut":
            client.cut()
        elif what == "close":
            break
    await client.close()


asyncio.run(main())
