// One agent's connection by docs/protocol.md (v1): says hello, keeps a cursor per feed, comes back when it may.

const PING_EVERY_MS = 20_000; // the server pings too, but a browser hides those from scripts
const PING_WITHIN_MS = 10_000; // an unanswered ping: the connection is gone, whatever the socket says
const HELLO_WITHIN_MS = 20_000; // from opening the socket to the answer of hello
const BACK_OFF_MS = { first: 500, most: 30_000 }; // protocol.md, "Close codes"
const STEADY_MS = 10_000; // a session that lived this long starts the back-off anew
const FRAME_BYTES = 64 * 1024; // a larger frame would end the session with 4501

const CLOSED = {
  4001: "this chatserver stops",
  4003: "the token has expired",
  4008: "this page read too slowly",
  4010: "the connection went quiet",
  4011: "internal error of the chatserver",
  4012: "what this agent may do has changed",
  4500: "the token was not accepted",
  4501: "the chatserver did not understand this page",
  4504: "too many sessions of this agent",
};

// What survives a reload lives in the tab's own storage. Frames of one tab share it, hence the frame's name.
const STORE = `switchboard:${window.name}`;
export const kept = { token: null, files: null, agent: null, cursors: null, outbox: [], ...readKept() };

function readKept() {
  try {
    return JSON.parse(sessionStorage.getItem(STORE));
  } catch {
    return null; // a frame may be forbidden to store anything: then a reload begins anew
  }
}

export function keep() {
  try {
    sessionStorage.setItem(STORE, JSON.stringify(kept));
  } catch {
    // as above
  }
}

/** An error answer of the server, or `offline` when the connection ended before the answer. */
class Refusal extends Error {
  constructor(code, message, retry) {
    super(message || code);
    this.code = code;
    this.retry = retry;
  }
}

export class Session {
  live = false; // hello was answered
  #hear; // who is told: { status, welcome, resync, entry, readMark, alarm }
  #socket = null;
  #asked = new Map(); // request id → its promise
  #lastId = 0;
  #failures = 0;
  #since = 0;
  #timers = new Set();

  constructor(hear) {
    this.#hear = hear;
  }

  open() {
    this.leave();
    this.#hear.status("connecting", "connecting …");
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const socket = new WebSocket(`${scheme}://${location.host}/v1/agent`, "switchboard.v1");
    const ours = (act) => (event) => this.#socket === socket && act(event); // not the late words of an older one
    socket.onopen = ours(() => this.#hello());
    socket.onmessage = ours((event) => this.#frame(JSON.parse(event.data)));
    socket.onclose = ours((event) => this.#closed(event.code));
    this.#socket = socket;
    this.#later(HELLO_WITHIN_MS, () => this.live || this.#closed(1006, "no answer"));
  }

  /** Ends the connection and all that hangs on it; nothing comes back by itself. */
  leave() {
    const [socket, asked] = [this.#socket, this.#asked];
    this.#socket = null;
    this.#asked = new Map();
    this.live = false;
    this.#timers.forEach(clearTimeout);
    this.#timers.clear();
    socket?.close();
    for (const { reject } of asked.values()) reject(new Refusal("offline", "The connection was lost.", true));
  }

  request(type, fields) {
    return new Promise((resolve, reject) => {
      if (!this.live && type !== "hello") return reject(new Refusal("offline", "Not connected.", true));
      const id = ++this.#lastId;
      const frame = JSON.stringify({ id, type, ...fields });
      if (new TextEncoder().encode(frame).length > FRAME_BYTES) {
        return reject(new Refusal("bad_text", "The text is too long.", false));
      }
      this.#asked.set(id, { resolve, reject });
      this.#socket.send(frame);
    });
  }

  async #hello() {
    try {
      const answer = await this.request("hello", { token: kept.token, cursors: kept.cursors ?? undefined });
      this.live = true;
      this.#since = Date.now();
      const recovered = Object.values(answer.feeds).every((feed) => feed.recovered);
      if (!recovered) kept.cursors = null; // a resync brings new ones
      this.#hear.status("connected", `${answer.server} · ${answer.version}`);
      this.#hear.welcome(answer.agent, recovered);
      this.#later(PING_EVERY_MS, () => this.#ping());
    } catch (refusal) {
      if (refusal.code !== "offline") this.#closed(refusal.retry ? 1006 : 4500, refusal.message);
    }
  }

  async #ping() {
    const late = this.#later(PING_WITHIN_MS, () => this.#closed(1006, CLOSED[4010]));
    try {
      await this.request("ping");
    } catch (refusal) {
      if (refusal.code === "offline") return; // any other answer is a sign of life too
    }
    clearTimeout(late);
    this.#later(PING_EVERY_MS, () => this.#ping());
  }

  #frame(frame) {
    if ("re" in frame) {
      const asked = this.#asked.get(frame.re);
      this.#asked.delete(frame.re);
      if (frame.type === "ok") asked?.resolve(frame.result);
      else asked?.reject(new Refusal(frame.code, frame.message, frame.retry));
    } else if (frame.type === "resync") {
      kept.cursors = { feed_epoch: frame.feed_epoch, feeds: frame.feeds };
      keep();
      this.#hear.resync(frame);
    } else if (frame.type === "entry") {
      this.#entry(frame);
    } else if (frame.type === "read_mark") {
      this.#hear.readMark(frame);
    }
  }

  /** The cursor rule: the next entry is taken, an old one ignored, a gap is an error and never stepped over. */
  #entry({ feed, seq, entry, chat }) {
    const cursor = kept.cursors?.feeds[feed];
    if (seq <= cursor) return;
    if (seq !== cursor + 1) {
      const what = cursor === undefined ? `Entry ${seq} of ${feed}, a feed not read here` : `Gap in the feed ${feed}: after ${cursor} came ${seq}`;
      this.#hear.alarm(`${what}. Reading again.`);
      return this.#closed(1006, "gap in a feed");
    }
    this.#hear.entry(entry, chat);
    kept.cursors.feeds[feed] = seq;
    keep();
  }

  /** 4500-4999 stay away; an expired token needs a new one; everything else comes back with full jitter. */
  #closed(code, why = CLOSED[code] ?? "the connection was lost") {
    if (this.live && Date.now() - this.#since > STEADY_MS) this.#failures = 0;
    this.leave();
    const needsToken = code === 4003 || code === 4500;
    if (needsToken || (code > 4500 && code <= 4999)) return this.#hear.status("stopped", why, needsToken);
    const wait = Math.random() * Math.min(BACK_OFF_MS.most, BACK_OFF_MS.first * 2 ** this.#failures++);
    this.#hear.status("waiting", `${why}; again in ${(wait / 1000).toFixed(1)} s`);
    this.#later(wait, () => this.open());
  }

  #later(ms, act) {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      act();
    }, ms);
    this.#timers.add(timer);
    return timer;
  }
}
