"""An agent's program: answers one customer and ends; run again, it goes on where it stopped.

pip install websockets
TOKEN=... python agent.py ws://127.0.0.1:7001/v1/agent http://127.0.0.1:7201 cursors.json
"""

import json, os, sys, urllib.request
from datetime import datetime, timedelta, timezone
from pathlib import Path

from websockets.sync.client import connect

HEADERS = {"Authorization": f"Bearer {os.environ['TOKEN']}"}
SOCKET, REST, KEPT = sys.argv[1], sys.argv[2], Path(sys.argv[3])


class Session:
    def __init__(self, socket):
        self.socket, self.asked, self.frames = socket, 0, []
        self.cursors = json.loads(KEPT.read_text()) if KEPT.exists() else None
        hello = self.ask("hello", **({"cursors": self.cursors} if self.cursors else {}))
        self.resumed = all(feed["recovered"] for feed in hello["feeds"].values())

    def ask(self, type, **fields):
        self.asked += 1
        self.socket.send(json.dumps({"id": self.asked, "type": type, **fields}))
        while (frame := json.loads(self.socket.recv(timeout=60))).get("re") != self.asked:
            self.frames.append(frame)  # what the server says meanwhile is read later, in its order
        if frame["type"] == "error":
            raise RuntimeError(f"{type}: {frame['code']}: {frame['message']}")
        return frame["result"]

    def entries(self):
        """What is new, each once: the chats of a resync by their last entry, then entry by entry."""
        while frame := self.frames.pop(0) if self.frames else json.loads(self.socket.recv(timeout=60)):
            if frame["type"] == "resync":
                self.cursors = {"feed_epoch": frame["feed_epoch"], "feeds": frame["feeds"]}
                yield from ({**chat["last"], "waits": True} for chat in frame["chats"] if chat["unread"])
            elif frame["type"] == "entry" and frame["seq"] > self.cursors["feeds"][frame["feed"]]:
                self.cursors["feeds"][frame["feed"]] = frame["seq"]
                yield {**frame["entry"], "waits": frame["entry"]["author"]["kind"] == "customer"}


with connect(SOCKET, subprotocols=["switchboard.v1"], additional_headers=HEADERS) as socket:
    session = Session(socket)
    entries = session.entries()
    chat, seq = next((entry["chat"], entry["seq"]) for entry in entries if entry["waits"])
    session.ask("take", chat=chat)
    # The same key again, after a lost answer say, is the same message.
    sent = session.ask("send", chat=chat, client_key=f"{chat}-{seq}", text=f"Python read entry {seq}.")
    done = next(e for e in entries if e["kind"] == "outcome" and (e["chat"], e["of"]) == (chat, sent["seq"]))
    KEPT.write_text(json.dumps(session.cursors))

day = datetime.now(timezone.utc).replace(hour=0, minute=0, second=0, microsecond=0)
period = f"from={day:%Y-%m-%dT%H:%M:%SZ}&to={day + timedelta(days=1):%Y-%m-%dT%H:%M:%SZ}"
with urllib.request.urlopen(urllib.request.Request(f"{REST}/v1/chats?{period}", headers=HEADERS)) as answer:
    chats = [item["chat"] for item in json.load(answer)["items"]]
print(json.dumps({"resumed": session.resumed, "chat": chat, "state": done["state"], "chats": chats}))
