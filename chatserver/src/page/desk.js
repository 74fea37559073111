// What an agent has before them: chats, the open chat's log, and texts not yet accepted. No drawing here.

import { Session, keep, kept } from "/session.js";
import { Waiting } from "/waiting.js";

const RETRY_SEND_MS = 1_000; // after `unavailable` or `too_fast`
const PAGE_ENTRIES = 50; // one page of history

export class Desk {
  me = { id: null, name: null, display_name: "" };
  chats = new Map(); // id → chat as in a snapshot
  open = null; // the chat on screen: { chat, log: Map seq → entry, loaded, before, reading }
  queues = new Set(); // names of those served
  busy = new Set(); // decisions on their way, as "chat:seq:part"; a cancel has no part
  #awaited = null; // a chat that was opened, and is shown when its entries come
  #whole = false; // the picture is complete: a resync or a snapshot was shown
  #held = null; // entries that came while a snapshot was asked for: they belong after it

  /** `view` is told what to do: { draw, alarm, status }. */
  constructor(view) {
    this.view = view;
    const hear = {
      status: view.status,
      alarm: view.alarm,
      welcome: (agent, recovered) => this.#welcome(agent, recovered),
      resync: (snapshot) => this.#resync(snapshot),
      readMark: (mark) => this.#marked(mark),
      entry: (entry, shown) => (this.#held ? this.#held.push([entry, shown]) : this.#apply(entry, shown)),
    };
    this.session = new Session(hear);
    const ask = (chat) => this.session.request("waiting", { chat }).catch(() => null); // the next one will tell
    this.waiting = new Waiting(ask, view.draw);
    for (const text of kept.outbox) if (text.state === "asking") text.state = "waiting";
  }

  isMine(chat) {
    return chat.state === "taken" && chat.agent === this.me.name;
  }

  select(id) {
    this.open = this.chats.has(id) ? { chat: id, log: new Map(), loaded: false, before: null, reading: false } : null;
    if (this.open) {
      this.chats.get(id).unread = 0;
      this.#load();
      this.#read(this.chats.get(id));
    }
    this.view.draw();
  }

  loadOlder() {
    const open = this.open;
    if (!open?.loaded || !open.before || open.reading) return;
    open.reading = true;
    this.#load(open.before);
  }

  async take(id) {
    if (await this.#ask("take", { chat: id })) this.select(id);
  }

  close(id) {
    this.#ask("close", { chat: id });
  }

  /** With somebody who has not written, or again: `whom` is a chat, or an account and an address. True when the agent has it. */
  async start(whom) {
    const opened = await this.#ask("open", whom);
    if (!opened) return false;
    if (this.chats.get(opened.chat)?.last_seq >= opened.seq) this.select(opened.chat);
    else this.#awaited = opened.chat; // its entries are on the way
    return true;
  }

  /** The canned replies of this agent, all pages of them; empty after showing why not. */
  async replies() {
    const replies = [];
    for (let after; after !== null; ) {
      const page = await this.#ask("replies", { after });
      if (!page) return [];
      replies.push(...page.replies);
      after = page.next_after;
    }
    return replies;
  }

  release(id) {
    this.#ask("release", { chat: id });
  }

  /** Hands a chat to a colleague or a queue; true when it is done. */
  async transfer(id, kind, name, note) {
    return Boolean(await this.#ask("transfer", { chat: id, [kind]: name, note: note || undefined }));
  }

  /** `resend`, `mark_sent` or `drop` of an unconfirmed part; `cancel` of what still waits of a message. */
  async decide(action, seq, part) {
    const mark = action === "cancel" ? `${this.open.chat}:${seq}` : `${this.open.chat}:${seq}:${part}`;
    if (this.busy.has(mark)) return;
    this.busy.add(mark); // until its outcome entry comes
    this.view.draw();
    const fields = { chat: this.open.chat, seq, ...(action !== "cancel" && { part }) };
    if (!(await this.#ask(action, fields))) this.busy.delete(mark);
    this.view.draw();
  }

  // A text keeps its client key from the moment it is written until it is accepted: the same key again after a lost
  // answer is the same message to the server. States: waiting, asking, accepted (its entry is on the way), refused.

  /** `file` is what the file server said of an upload, or undefined. */
  write(words, file) {
    kept.outbox.push({ chat: this.open.chat, key: crypto.randomUUID(), text: words, file, seen: this.#seen(), state: "waiting" });
    this.#pump();
  }

  /** A refused text once more, with what is on screen now; a new key, in case the old one was the reason. */
  again(key) {
    const text = kept.outbox.find((text) => text.key === key);
    if (text) Object.assign(text, { state: "waiting", key: crypto.randomUUID(), seen: this.#seen() });
    this.#pump();
  }

  /** Takes a refused text out and returns it. */
  takeBack(key) {
    const at = kept.outbox.findIndex((text) => text.key === key && text.state === "refused");
    if (at < 0) return null;
    const [text] = kept.outbox.splice(at, 1);
    this.#pump();
    return text;
  }

  /** The open chat's texts that have no line in its log yet; an accepted one is forgotten when its line is there. */
  unsent() {
    kept.outbox = kept.outbox.filter((text) => text.state !== "accepted" || this.chats.get(text.chat)?.last_seq < text.seq);
    const arrived = new Set([...this.open.log.values()].map((entry) => entry.client_key));
    return kept.outbox.filter((text) => text.chat === this.open.chat && !arrived.has(text.key));
  }

  #seen() {
    return this.open?.loaded ? Math.max(...this.open.log.keys()) : undefined;
  }

  /** One text of a chat at a time, so that they are accepted in the order they were written. */
  #pump() {
    const first = new Set();
    for (const text of kept.outbox) {
      if (text.state === "refused" || text.state === "accepted" || first.has(text.chat)) continue;
      first.add(text.chat);
      if (text.state === "waiting" && this.session.live) this.#submit(text);
    }
    keep();
    this.view.draw();
  }

  async #submit(text) {
    text.state = "asking";
    try {
      const fields = { chat: text.chat, client_key: text.key, text: text.text, file: text.file?.file, seen_seq: text.seen };
      const answer = await this.session.request("send", fields);
      Object.assign(text, { state: "accepted", seq: answer.seq });
    } catch (refusal) {
      Object.assign(text, { state: refusal.retry ? "waiting" : "refused", reason: refusal.message });
      if (refusal.code === "offline") return this.view.draw(); // the next hello pumps
      if (refusal.retry) return void setTimeout(() => this.#pump(), RETRY_SEND_MS);
      if (this.open?.chat !== text.chat) this.view.alarm(`Not sent: ${refusal.message}`);
    }
    this.#pump();
  }

  #welcome(agent, recovered) {
    this.me = agent;
    if (kept.agent !== agent.id) kept.outbox = []; // another agent's token: another agent's words stay unsaid
    kept.agent = agent.id;
    this.busy.clear();
    if (recovered && !this.#whole) this.#recall(); // reloaded: the cursors are kept, the picture is not
    if (this.open && !this.open.loaded) this.#load();
    this.#pump();
  }

  async #recall() {
    this.#held = [];
    const snapshot = await this.#ask("snapshot");
    const late = this.#held;
    this.#held = null;
    if (snapshot) this.#resync(snapshot);
    late.forEach(([entry, shown]) => this.#apply(entry, shown));
  }

  #resync(snapshot) {
    this.#whole = true;
    this.queues = new Set(snapshot.queues.map((queue) => queue.name));
    this.chats = new Map(snapshot.chats.map((chat) => [chat.chat, { ...chat }]));
    this.select(this.open?.chat);
  }

  /** The same entry may come by two feeds; a chat's own seq tells whether it is news. `shown` is a chat that the entry brings. */
  #apply(entry, shown) {
    if (shown?.last_seq > (this.chats.get(entry.chat)?.last_seq ?? 0)) this.chats.set(entry.chat, { ...shown });
    const chat = this.chats.get(entry.chat) ?? { chat: entry.chat, account: entry.account, state: null, agent: null, last_seq: 0, unread: 0, last: null };
    this.chats.set(entry.chat, chat);
    const isOpen = this.open?.chat === entry.chat;
    if (entry.seq > chat.last_seq) {
      chat.last_seq = entry.seq;
      if (entry.author.kind === "customer") chat.title ??= entry.author.name;
      if (entry.kind === "opened") Object.assign(chat, { state: "waiting", agent: null, queue: entry.queue });
      if (entry.kind === "taken") Object.assign(chat, { state: "taken", agent: entry.agent });
      if (entry.kind === "released") Object.assign(chat, { state: "waiting", agent: null, queue: entry.queue });
      if (entry.kind === "transferred") {
        const { agent = null, queue = chat.queue } = entry.to;
        Object.assign(chat, { state: agent ? "taken" : "waiting", agent, queue });
      }
      if (entry.kind === "closed") Object.assign(chat, { state: "closed", agent: null });
      if (entry.kind === "message" || entry.kind === "edited") {
        chat.last = entry;
        if (entry.author.kind === "agent") chat.unread = 0;
        else if (!isOpen) chat.unread += 1;
      }
    }
    if (this.#awaited === entry.chat && this.isMine(this.chats.get(entry.chat))) {
      this.#awaited = null;
      return this.select(entry.chat);
    }
    const lost = chat.state === "waiting" && !this.queues.has(chat.queue); // it waits where we do not look
    if (lost) this.chats.delete(entry.chat);
    if (isOpen && lost) this.open = null;
    else if (isOpen) {
      this.#log(entry);
      if (entry.author.kind === "customer") this.#read(chat);
    }
    this.view.draw();
  }

  #log(entry) {
    const { log, chat, loaded } = this.open;
    if (entry.kind === "outcome") {
      this.busy.delete(`${chat}:${entry.of}:${entry.part}`);
      this.busy.delete(`${chat}:${entry.of}`);
    }
    const missing = loaded && !log.has(entry.seq) && entry.seq > this.#seen() + 1;
    log.set(entry.seq, entry);
    if (missing) this.#load(); // a part of the log comes by a feed that is behind
  }

  /** Says that an own chat is on screen up to its end; the agent's other pages hear of it. What is lost is said again later. */
  #read(chat) {
    if (!this.isMine(chat) || !(chat.last_seq > (chat.read_seq ?? 0)) || document.hidden) return;
    chat.read_seq = chat.last_seq;
    this.session.request("read", { chat: chat.chat, seq: chat.last_seq }).catch(() => null);
  }

  /** Another page of this agent has read on. */
  #marked({ chat: id, seq, unread }) {
    const chat = this.chats.get(id);
    if (!chat || seq < (chat.read_seq ?? 0)) return;
    Object.assign(chat, { read_seq: seq, ...(this.open?.chat !== id && { unread }) });
    this.view.draw();
  }

  /** Reads the newest page of the open chat's log, or with `before` the page that ends there. */
  async #load(before) {
    const open = this.open;
    const page = await this.#ask("history", { chat: open.chat, before, limit: PAGE_ENTRIES });
    open.reading = false;
    if (page) {
      const newest = page.entries.at(-1)?.seq ?? 0;
      if (before === undefined) for (const seq of open.log.keys()) if (seq < newest) open.log.delete(seq);
      for (const entry of page.entries) open.log.set(entry.seq, entry);
      open.before = page.next_before;
      open.loaded = true;
    }
    this.view.draw();
  }

  /** The result, or null after showing why not; a lost connection is shown by the status already. */
  async #ask(type, fields) {
    try {
      return await this.session.request(type, fields);
    } catch (refusal) {
      if (refusal.code !== "offline" || !["history", "snapshot"].includes(type)) this.view.alarm(refusal.message);
      return null;
    }
  }
}
