"""Envelopes until they have their receipts: what each has to know first, and the frame that it is."""

import hashlib
import os

from wire import GROUP_SEND, SEALED_SEND, SEALED_SHARED_SEND, SEND


class Send:
    """One envelope for all devices of some accounts, until it has its receipt."""

    def __init__(self, accounts, payload):
        self.id = os.urandom(16)
        self.payload = payload
        # account address → (roster version, device numbers); None until the roster is known
        self.rosters = {account: None for account in accounts}

    def lacks(self, client):
        """The requests for what this send has to know first."""
        return client.queries([account for account in self.rosters if account not in client.rosters])

    def frame(self, client):
        for account, known in self.rosters.items():
            self.rosters[account] = known or client.rosters[account]
        accounts = [
            [account, version, [[device, self.payload] for device in devices]]
            for account, (version, devices) in self.rosters.items()
        ]
        return [SEND, self.id, accounts]


class GroupSend:
    """One envelope for everybody in a group, until it has its receipt."""

    def __init__(self, group, payload, blocks):
        self.id = os.urandom(16)
        self.group = group
        self.payload = payload
        self.blocks = blocks

    def lacks(self, client):
        return client.group_queries(self.group)

    def frame(self, client):
        version = client.groups[self.group]
        # Where others encrypt for the roster, this one says which it was made for.
        return [GROUP_SEND, self.id, self.group, version, self.payload + bytes([version]), self.blocks]


class SealedSend:
    """One envelope of nobody in particular for all devices of an account; which they are, its first refusal says."""

    def __init__(self, account, token, payload):
        self.id = os.urandom(16)
        self.account = account
        self.token = token
        self.payload = payload
        self.rosters = {account: (0, [])}

    def lacks(self, client):
        return None

    def delivered_id(self):
        """The id under which devices get it."""
        return hashlib.sha256(b"interline sealed v1" + self.account + self.id).digest()[:16]

    def frame(self, client):
        version, devices = self.rosters[self.account]
        payloads = [[device, self.payload + bytes([device])] for device in devices]
        return [SEALED_SEND, self.id, self.token, self.account, version, payloads]


class SealedSharedSend:
    """The same for all devices of some accounts: a shared part, and a block for each device."""

    def __init__(self, tokens, shared):
        self.id = os.urandom(16)
        self.tokens = tokens  # account address → delivery token
        self.shared = shared
        self.rosters = {account: (0, []) for account in tokens}

    def lacks(self, client):
        return None

    def delivered_id(self):
        return hashlib.sha256(b"interline sealed shared v1" + self.id).digest()[:16]

    def frame(self, client):
        accounts = [
            [account, self.tokens[account], version, [[device, bytes([device])] for device in devices]]
            for account, (version, devices) in self.rosters.items()
        ]
        return [SEALED_SHARED_SEND, self.id, self.shared, accounts]
