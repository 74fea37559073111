"""What all parts of the drive share: who is who, what a mismatch is, the control API, the bot's long poll."""

import json
import urllib.parse
import urllib.request

from telegram import Update
from telegram.error import TelegramError

OLGA = 700100200
PETER = 700100201
STRANGER = 700100202
GROUP = -500
NEXT_GROUP = -100500


# The head of a picture is enough for whoever only measures it.
PNG = b"\x89PNG\r\n\x1a\n" + (13).to_bytes(4) + b"IHDR" + (640).to_bytes(4) + (480).to_bytes(4) + b"\x08\x06"


class Mismatch(Exception):
    """The simulator is not what this client expects of the platform."""


def check(holds, what):
    """Prints what was seen, or ends the run."""
    if not holds:
        raise Mismatch(what)
    print(f"ok  {what}")


async def refused(kind, words, call):
    """Awaits a call that must be refused with this class of error and these words in it."""
    try:
        answer = await call
    except kind as error:
        check(words.lower() in str(error).lower(), f"{kind.__name__}: {error}")
        return error
    except TelegramError as error:
        raise Mismatch(f"expected {kind.__name__} '{words}', got {type(error).__name__}: {error}") from error
    raise Mismatch(f"expected {kind.__name__} '{words}', got {answer}")


class Control:
    """The simulator's control API: what customers do."""

    def __init__(self, base, acct):
        self.base, self.acct = base, acct

    def order(self, path, **body):
        request = urllib.request.Request(
            f"{self.base}/control/{path}",
            data=json.dumps({"acct": self.acct, **body}).encode(),
            headers={"content-type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def file(self, content, **told):
        query = urllib.parse.urlencode({"acct": self.acct, **told})
        request = urllib.request.Request(f"{self.base}/control/file?{query}", data=content)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def face(self, content, chat):
        """A person shows a profile photo."""
        query = urllib.parse.urlencode({"acct": self.acct, "chat": chat})
        request = urllib.request.Request(f"{self.base}/control/face?{query}", data=content)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def state(self):
        with urllib.request.urlopen(f"{self.base}/control/state?acct={self.acct}", timeout=10) as answer:
            return json.load(answer)


class Inbox:
    """The bot's long poll: takes updates one by one and confirms them by offset only."""

    def __init__(self, bot):
        self.bot, self.offset = bot, 0

    async def take(self, timeout=10):
        updates = await self.bot.get_updates(offset=self.offset, limit=1, timeout=timeout, read_timeout=timeout + 10)
        if not updates:
            raise Mismatch("no update came")
        check(isinstance(updates[0], Update), f"update {updates[0].update_id}")
        self.offset = updates[0].update_id + 1
        return updates[0]

    async def drain(self):
        """Confirms whatever waits, unread."""
        while updates := await self.bot.get_updates(offset=self.offset, timeout=0):
            self.offset = updates[-1].update_id + 1
