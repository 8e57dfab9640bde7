#!/usr/bin/env python3
"""An Interline client written from docs/protocol.md alone.

Needs python3-websockets and python3-msgpack, and of this repository only sends.py and wire.py beside it.
It is driven by lines of JSON: commands on standard input, events on standard
output. Byte strings are hex in both; in the bodies of requests, answers and
notices they begin with "0x", so that they differ from text.

  commands  {"do": "connect", "url", "token"}   sign in; resumes where this process stands
            {"do": "send", "to": [account …], "payload"}   to every device of the accounts
            {"do": "groupSend", "group", "payload", "blocks": [[account, device, block] …]}
            {"do": "sealedSend", "to", "token", "payload"}   signed in as nobody: to every device of an account
            {"do": "sealedSharedSend", "shared", "to": [[account, deliveryToken] …]}   the same, of several accounts
            {"do": "signal", "to": [[account, device] …], "payload"}   to devices that are there
            {"do": "groupSignal", "group", "payload"}   to those of the group's members that are there
            {"do": "request", "method", "body"} ask a service
            {"do": "upload", "keys": {kind: [[id, key] …]}}  own public keys; keeps a record of them
            {"do": "compare"}                   are the stored keys those of the record?
            {"do": "ack", "sequence"}           everything up to here is taken
            {"do": "cut"}                       drop the connection without a word
            {"do": "close"}                     end

  events    welcome, live, envelope, sealed, notice, gap, receipt, repeated, refused, answer, compared,
            signal, groupSignal, presence, ended

A send that has no receipt when the connection ends is repeated on the next one
under the same id. One that is refused for a roster of before is made anew for
the roster of now. Envelopes that come again are not told again.
"""

import asyncio
import json
import random
import sys
from collections import OrderedDict

import msgpack
import websockets

from sends import GroupSend, SealedSend, SealedSharedSend, Send
from wire import (
    ACK,
    ANSWER,
    DELIVER,
    EPHEMERAL,
    ERROR,
    GAP,
    GROUP_DELIVER,
    GROUP_EPHEMERAL,
    GROUP_SIGNAL,
    GROUP_STALE,
    HELLO,
    KEY_KINDS,
    LATER,
    LIVE,
    NODE,
    ONE_TIME,
    PRESENCE,
    RECEIPT,
    REFUSAL,
    REQUEST,
    ROSTER,
    ROSTER_QUERY,
    ROSTER_STALE,
    SEALED,
    SHARED_DELIVER,
    SIGNAL,
    SUBPROTOCOL,
    WELCOME,
    frames_of,
    key_digest,
    meant,
    shown,
)

RECENT_MAX = 4096


def tell(event, **fields):
    print(json.dumps({"event": event, **fields}), flush=True)


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
        self.groups = {}  # group address → version of the roster that is known
        self.answers = {}  # request number → what to do with the answer
        self.asked_groups = set()
        self.device = b""
        self.record = {kind: [] for kind in KEY_KINDS}  # the keys that were uploaded last
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
        elif kind == SHARED_DELIVER:
            _, sequence, sender, id, time_ms, block, shared = frame
            self.deliver(sequence, sender, id, time_ms, shared, block=block.hex())
        elif kind == GROUP_DELIVER:
            _, sequence, sender, id, time_ms, group, version, block, shared = frame
            about = {"group": group.hex(), "version": version, "block": block.hex()}
            self.deliver(sequence, sender, id, time_ms, shared, **about)
        elif kind == ANSWER:
            _, request, code, _, body = frame
            if request in self.answers:
                await self.answers.pop(request)(code, body)
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
        elif kind == SIGNAL:
            tell("signal", sender=frame[1].hex(), payload=frame[2].hex())
        elif kind == GROUP_SIGNAL:
            tell("groupSignal", sender=frame[1].hex(), group=frame[2].hex(), payload=frame[3].hex())
        elif kind == PRESENCE:
            tell("presence", online=frame[1].hex(), offline=frame[2].hex())
        # Kinds that we do not know are stepped over.

    async def welcome(self, body):
        self.welcomed = True
        self.acked = max(self.acked, body["position"])
        self.device = body["device"]
        tell(
            "welcome",
            device=body["device"].hex(),
            position=body["position"],
            durability=body["durability"],
            payloadBytesMax=body["payloadBytesMax"],
        )
        self.asked.clear()
        self.answers.clear()
        self.asked_groups.clear()
        if self.unsettled:
            tell("repeated", ids=[send.id.hex() for send in self.unsettled])
        await self.send_ready()

    def deliver(self, sequence, sender, id, time_ms, payload, **about):
        key = (sender, id)
        if sequence <= self.received or key in self.recent:
            self.received = max(self.received, sequence)
            return
        self.received = sequence
        self.recent[key] = True
        if len(self.recent) > RECENT_MAX:
            self.recent.popitem(last=False)
        if sender == NODE:
            body = msgpack.unpackb(payload)
            if body["notice"] == "group":
                self.groups[body["group"]] = max(body["version"], self.groups.get(body["group"], 0))
            tell("notice", sequence=sequence, body=shown(body))
            return
        if sender == SEALED:
            tell("sealed", sequence=sequence, id=id.hex(), payload=payload.hex(), **about)
            return
        tell("envelope", sequence=sequence, sender=sender.hex(), id=id.hex(), payload=payload.hex(), **about)

    def receipt(self, position, durability):
        while self.in_flight and next(iter(self.in_flight)) <= position:
            _, send = self.in_flight.popitem(last=False)
            self.unsettled.remove(send)
            about = {"deliveredId": send.delivered_id().hex()} if hasattr(send, "delivered_id") else {}
            tell("receipt", id=send.id.hex(), durability=durability, **about)

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
        about = {"accounts": detail["accounts"].hex()} if "accounts" in detail else {}
        tell("refused", id=send.id.hex(), code=code, retryAfterMs=retry_after_ms, rosters=rosters, **about)
        if code in LATER:
            self.later = asyncio.create_task(self.send_later(retry_after_ms / 1000))
            return
        if code == GROUP_STALE:
            # What the roster is by now has to be asked before the envelope is made anew.
            self.groups.pop(send.group, None)
        elif code != ROSTER_STALE:
            self.unsettled.remove(send)
            return
        for roster in detail.get("rosters", []):
            account = roster["account"]
            _, devices = send.rosters.get(account) or (0, [])
            kept = [device for device in devices if device not in roster["surplus"]]
            known = (roster["version"], kept + roster["missing"])
            self.rosters[account] = known
            send.rosters[account] = known
        await self.send_ready()

    async def send(self, send):
        self.unsettled.append(send)
        if self.welcomed and self.socket is not None:
            await self.send_ready()

    async def signal(self, devices, payload):
        """Nothing of it is kept or answered: what cannot go out now goes nowhere."""
        accounts = {}
        for account, device in devices:
            accounts.setdefault(account, []).append([device, payload])
        await self.write([EPHEMERAL, [[account, listed] for account, listed in accounts.items()]])

    async def send_later(self, seconds):
        await asyncio.sleep(seconds * (1 + random.random() / 4))
        if self.welcomed and self.socket is not None:
            await self.send_ready()

    async def send_ready(self):
        """Writes the sends that are not in flight, in order, as far as their rosters are known."""
        flying = set(map(id, self.in_flight.values()))
        frames = []
        for send in self.unsettled:
            if id(send) in flying:
                continue
            lacking = send.lacks(self)
            if lacking is not None:
                frames += lacking
                break
            self.position += 1
            self.in_flight[self.position] = send
            frames.append(send.frame(self))
        if frames:
            await self.write(*frames)

    def queries(self, accounts):
        """None when there is nothing to ask; empty when all of it was asked."""
        if not accounts:
            return None
        frames = []
        for account in accounts:
            if account not in self.asked.values():
                self.requests += 1
                self.asked[self.requests] = account
                frames.append([ROSTER_QUERY, self.requests, account])
        return frames

    def group_queries(self, group):
        if group in self.groups:
            return None
        if group in self.asked_groups:
            return []
        self.asked_groups.add(group)

        async def take(code, body):
            self.asked_groups.discard(group)
            # Nobody's group, or not ours: the send finds out.
            self.groups[group] = body["version"] if code == 0 else 0
            await self.send_ready()

        return [self.request("groups.get", {"group": group}, take)]

    def request(self, method, body, take):
        self.requests += 1
        self.answers[self.requests] = take
        return [REQUEST, self.requests, method, body]

    async def ask(self, method, body):
        async def take(code, answer):
            tell("answer", method=method, code=code, body=shown(answer))

        await self.write(self.request(method, body, take))

    async def upload(self, keys):
        self.record.update(keys)
        body = {kind: [{"id": id, "key": key} for id, key in listed] for kind, listed in keys.items()}
        await self.ask("keys.upload", body)

    async def compare(self):
        """Whether the node stores what the record says, kind by kind."""

        async def take(code, body):
            kinds = {}
            for kind in KEY_KINDS:
                through = body[kind]["claimedThrough"] if kind in ONE_TIME else -1
                left = [(id, key) for id, key in self.record[kind] if id > through]
                kinds[kind] = key_digest(self.device, kind, left) == body[kind]["digest"]
            tell("compared", kinds=kinds)

        await self.write(self.request("keys.digest", {}, take))

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
            await client.send(Send(accounts, bytes.fromhex(command["payload"])))
        elif what == "groupSend":
            listed = command["blocks"]
            blocks = [[bytes.fromhex(account), device, bytes.fromhex(block)] for account, device, block in listed]
            group, payload = (bytes.fromhex(command[name]) for name in ("group", "payload"))
            await client.send(GroupSend(group, payload, blocks))
        elif what == "sealedSend":
            account, token, payload = (bytes.fromhex(command[name]) for name in ("to", "token", "payload"))
            await client.send(SealedSend(account, token, payload))
        elif what == "signal":
            devices = [(bytes.fromhex(account), device) for account, device in command["to"]]
            await client.signal(devices, bytes.fromhex(command["payload"]))
        elif what == "groupSignal":
            group, payload = (bytes.fromhex(command[name]) for name in ("group", "payload"))
            await client.write([GROUP_EPHEMERAL, group, payload])
        elif what == "sealedSharedSend":
            tokens = {bytes.fromhex(account): bytes.fromhex(token) for account, token in command["to"]}
            await client.send(SealedSharedSend(tokens, bytes.fromhex(command["shared"])))
        elif what == "request":
            await client.ask(command["method"], meant(command["body"]))
        elif what == "upload":
            keys = command["keys"].items()
            await client.upload({kind: [(id, bytes.fromhex(key)) for id, key in listed] for kind, listed in keys})
        elif what == "compare":
            await client.compare()
        elif what == "ack":
            await client.ack(command["sequence"])
        elif what == "cut":
            client.cut()
        elif what == "close":
            break
    await client.close()


asyncio.run(main())
