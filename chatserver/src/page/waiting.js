// What our messages wait for, in plain words: asked of the chatserver every two seconds while a part of the open chat has
// waited for more than a second. One request for all of them; what is decided is forgotten at once.

const PATIENCE_MS = 1_000; // most parts are sent sooner: then nothing is asked and nothing flickers
const AGAIN_MS = 2_000;

export class Waiting {
  #ask;
  #tell;
  #chat = null;
  #since = new Map(); // "seq:part" of an undecided part → since when it is on screen
  #said = new Map(); // "seq:part" → what the chatserver said last
  #timer = null;

  /** `ask(chat)` resolves to an answer of `waiting` or null; `tell` is called when there is something new to draw. */
  constructor(ask, tell) {
    this.#ask = ask;
    this.#tell = tell;
  }

  /** The undecided parts on screen, as "seq:part". */
  look(chat, parts) {
    if (chat !== this.#chat) this.#forget(chat);
    for (const part of this.#since.keys()) if (!parts.includes(part)) this.#since.delete(part);
    for (const part of parts) if (!this.#since.has(part)) this.#since.set(part, performance.now());
    if (parts.length === 0) this.#forget(chat);
    else this.#timer ??= setTimeout(() => this.#read(), PATIENCE_MS);
  }

  /** What a part waits for, once it has waited for long enough and the chatserver said so. */
  of(part) {
    const waited = performance.now() - (this.#since.get(part) ?? Infinity);
    return waited >= PATIENCE_MS ? this.#said.get(part) : undefined;
  }

  #forget(chat) {
    clearTimeout(this.#timer);
    this.#timer = null;
    this.#chat = chat;
    this.#since.clear();
    this.#said.clear();
  }

  async #read() {
    const timer = this.#timer;
    const answer = await this.#ask(this.#chat);
    if (timer !== this.#timer) return; // another chat is open, or all is decided
    if (answer) this.#said = new Map(answer.parts.map((said) => [`${said.seq}:${said.part}`, said]));
    this.#timer = setTimeout(() => this.#read(), AGAIN_MS);
    this.#tell();
    const left = [...this.#since.values()].map((since) => PATIENCE_MS - (performance.now() - since));
    if (left.some((ms) => ms > 0)) setTimeout(this.#tell, Math.max(...left) + 1); // for those whose second is not over
  }
}

/** "3rd in line, about 4 s: other messages of this account go first" */
export function waitWords({ position, exact, expected_s, reason, until }) {
  const place = exact ? `${ordinal(position)} in line` : `${position - 1} or more before it`;
  const time = expected_s === null ? "" : `, ${span(expected_s)}`;
  const at = until ? new Date(until).toLocaleTimeString() : "later";
  const why = {
    no_connector: "nobody serves this account at the moment",
    account_down: "the platform refuses this account; an operator has to look",
    paused: `the platform asked for a pause until ${at}`,
    retrying: `it could not be delivered; the next try is at ${at}`,
    earlier_message: "an earlier message to this chat goes first",
    chat_limit: "this chat has just had as many messages as the platform allows",
    group_limit: "this group has just had as many messages as the platform allows",
    account_limit: "other messages of this account go first",
    sending: "it is being sent",
    next: "it goes out next",
  };
  return `${place}${time}: ${why[reason] ?? reason}`;
}

function ordinal(n) {
  const kind = new Intl.PluralRules("en", { type: "ordinal" }).select(n);
  return n + { one: "st", two: "nd", few: "rd", other: "th" }[kind];
}

function span(seconds) {
  if (seconds < 1) return "any moment";
  if (seconds < 100) return `about ${Math.round(seconds)} s`;
  if (seconds < 6000) return `about ${Math.round(seconds / 60)} min`;
  return `about ${Math.round(seconds / 3600)} h`;
}
