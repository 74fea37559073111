// An agent's desktop on Switchboard's public API: the websocket (docs/protocol.md), files and lists (docs/rest.md).
// Address it as .../index.html#token=TOKEN&api=http://HOST[&files=http://HOST][&loader=http://HOST]; behind the reverse
// proxy `api` is enough, since one address serves all three.

const fragment = new URLSearchParams(location.hash.slice(1));
const token = fragment.get("token");
const api = fragment.get("api") ?? location.origin;
const files = fragment.get("files") ?? api;
const loader = fragment.get("loader") ?? api;
const $ = (id) => document.getElementById(id);
const element = (tag, fields) => Object.assign(document.createElement(tag), fields);

const chats = new Map(); // id → what a snapshot says of it, and its log by seq
const asked = new Map(); // request id → its promise
let cursors = null; // how far we have read: a number per feed
let socket, shown, me;
let requests = 0;
let failures = 0;

// ---- the websocket ----------------------------------------------------------------------------------------

function connect() {
  status("connecting");
  socket = new WebSocket(`${api.replace(/^http/, "ws")}/v1/agent`, "switchboard.v1");
  const pings = setInterval(() => request("ping").catch(() => {}), 20_000);
  socket.onopen = () => hello().catch(() => socket.close());
  socket.onmessage = ({ data }) => receive(JSON.parse(data));
  socket.onclose = ({ code }) => {
    clearInterval(pings);
    for (const { reject } of asked.values()) reject(new Error("the connection was lost"));
    asked.clear();
    if (code >= 4500) return status("refused");
    status("waiting");
    setTimeout(connect, Math.random() * Math.min(30_000, 500 * 2 ** failures++)); // full jitter
  };
}

async function hello() {
  const answer = await request("hello", { token, cursors: cursors ?? undefined });
  me = answer.agent;
  failures = 0;
  $("me").textContent = me.display_name;
  status("connected");
  for (const send of unanswered.values()) send(); // the same client_key: never a second message
}

function request(type, fields = {}) {
  const id = ++requests;
  return new Promise((resolve, reject) => {
    if (socket.readyState !== WebSocket.OPEN) return reject(new Error("not connected"));
    asked.set(id, { resolve, reject });
    socket.send(JSON.stringify({ id, type, ...fields }));
  });
}

function receive(frame) {
  if (frame.type === "resync") return resync(frame);
  if (frame.type === "entry") {
    const cursor = cursors.feeds[frame.feed];
    if (frame.seq <= cursor) return;
    if (frame.seq !== cursor + 1) return socket.close(); // a gap: read again from the cursor
    cursors.feeds[frame.feed] = frame.seq;
    return heard(frame.entry, frame.chat);
  }
  const waiting = asked.get(frame.re);
  asked.delete(frame.re);
  if (frame.type === "ok") waiting?.resolve(frame.result);
  else waiting?.reject(Object.assign(new Error(frame.message), { code: frame.code, retry: frame.retry }));
}

// ---- what is shown ----------------------------------------------------------------------------------------

function resync({ feed_epoch, feeds, chats: all }) {
  cursors = { feed_epoch, feeds };
  const logs = new Map([...chats].map(([id, chat]) => [id, chat.log]));
  chats.clear();
  for (const chat of all) chats.set(chat.chat, { ...chat, log: logs.get(chat.chat) ?? new Map() });
  if (shown) open(shown);
  lists();
}

function heard(entry, moved) {
  if (moved) chats.set(moved.chat, { ...moved, log: chats.get(moved.chat)?.log ?? new Map() });
  const chat = chats.get(entry.chat) ?? { chat: entry.chat, account: entry.account, state: "waiting", log: new Map() };
  chats.set(entry.chat, chat);
  chat.log.set(entry.seq, entry);
  if (entry.kind === "opened" || entry.kind === "released") Object.assign(chat, { state: "waiting", agent: null });
  if (entry.kind === "transferred") Object.assign(chat, { state: entry.to.agent ? "taken" : "waiting", agent: entry.to.agent ?? null });
  if (entry.kind === "taken") Object.assign(chat, { state: "taken", agent: entry.agent });
  if (entry.kind === "closed") Object.assign(chat, { state: "closed", agent: null });
  if (entry.author.kind === "customer") chat.title ??= entry.author.name;
  if (entry.chat === shown) log();
  lists();
}

function lists() {
  const of = (state) => [...chats.values()].filter((chat) => chat.state === state);
  const item = (chat, act) => {
    const line = element("li", { textContent: chat.title ?? chat.customer?.name ?? `chat ${chat.chat}`, onclick: act });
    line.dataset.chat = chat.chat;
    line.setAttribute("aria-current", chat.chat === shown);
    return line;
  };
  // Only what changed: a line that is replaced between press and release is never clicked.
  const show = (list, lines) => {
    if (lines.map((line) => line.outerHTML).join("") !== list.innerHTML) list.replaceChildren(...lines);
  };
  show($("own"), of("taken").filter(mine).map((chat) => item(chat, () => open(chat.chat))));
  show($("waiting"), of("waiting").map((chat) => item(chat, () => take(chat.chat))));
  $("composer").hidden = !mine(chats.get(shown));
}

const mine = (chat) => chat?.state === "taken" && chat.agent === me?.name;

async function take(chat) {
  await attempt(() => request("take", { chat }));
  await open(chat);
}

async function open(chat) {
  shown = chat;
  const { entries } = await request("history", { chat, limit: 100 });
  for (const entry of entries) chats.get(chat)?.log.set(entry.seq, entry);
  $("title").textContent = chats.get(chat)?.title ?? `chat ${chat}`;
  log();
  lists();
}

function log() {
  const chat = chats.get(shown);
  const entries = [...(chat?.log.values() ?? [])].sort((a, b) => a.seq - b.seq);
  const told = (kind, of) => entries.filter((entry) => entry.kind === kind && entry.of === of);
  $("log").replaceChildren(...entries.filter((entry) => words(entry)).map((entry) => {
    const line = element("li", { textContent: words(entry), className: entry.author.kind });
    line.dataset.seq = entry.seq;
    for (const file of entry.files ?? []) {
      const news = told("file", entry.seq).find((news) => news.file === file.file);
      line.append(attachment(chat.account, file, entry.author.kind === "agent" ? "ready" : news?.state, news?.reason));
    }
    const state = told("outcome", entry.seq).at(-1)?.state ?? (entry.client_key ? "queued" : null);
    if (state) line.dataset.state = state;
    if (state) line.append(element("small", { textContent: ` · ${state}` }));
    return line;
  }));
  $("log").scrollTop = $("log").scrollHeight;
}

function words(entry) {
  switch (entry.kind) {
    case "message": return entry.text || (entry.files ? "\u200b" : `(${entry.content?.map((item) => item.of ?? item.type) ?? "nothing that can be shown"})`);
    case "edited": return `changed to: ${entry.text}`;
    case "opened": return `waits in ${entry.queue}`;
    case "taken": return `taken by ${entry.agent}`;
    case "closed": return "closed";
    case "membership": return entry.state === "left" ? "blocked us" : "came back";
    default: return null; // told beside its message, or of a later version
  }
}

// ---- files ------------------------------------------------------------------------------------------------

const authorized = (fields) => ({ ...fields, headers: { ...fields?.headers, Authorization: `Bearer ${token}` } });
const fetched = new Map(); // file id → the address of its bytes in this page

function attachment(account, file, state, reason) {
  const box = element("div", { className: "file", textContent: `${file.name ?? file.kind} (${state ?? "on its way"})` });
  box.dataset.file = file.file;
  if (state === "failed") box.textContent = `${file.name ?? file.kind}: ${reason}`;
  if (state === "ready") show(box, account, file).catch((error) => (box.textContent = error.message));
  return box;
}

async function show(box, account, file) {
  if (!fetched.has(file.file)) {
    const answer = await fetch(`${files}/files/${account}/${file.file}`, authorized());
    if (!answer.ok) throw new Error((await answer.json()).detail);
    fetched.set(file.file, URL.createObjectURL(await answer.blob()));
  }
  const address = fetched.get(file.file);
  const link = element("a", { href: address, download: file.name ?? file.kind, textContent: file.name ?? file.kind });
  box.replaceChildren(file.kind === "photo" ? element("img", { src: address, alt: file.name ?? "" }) : link);
}

async function upload(account, file, key) {
  const address = `${files}/files/${account}/${key}?name=${encodeURIComponent(file.name)}`;
  const headers = { "Content-Type": file.type || "application/octet-stream" };
  const answer = await fetch(address, authorized({ method: "PUT", body: file, headers }));
  const body = await answer.json();
  if (!answer.ok) throw new Error(body.detail);
  return body.file;
}

// ---- what the agent does ----------------------------------------------------------------------------------

const unanswered = new Map(); // client_key → sends it again

async function send() {
  const { chat, account } = chats.get(shown);
  const [text, file, client_key] = [$("text").value, $("file").files[0], crypto.randomUUID()];
  if (!text.trim() && !file) return;
  await attempt(async () => {
    const fields = { chat, client_key, text, file: file && (await upload(account, file, client_key)) };
    const again = () => request("send", fields).then(() => unanswered.delete(client_key), (error) => {
      if (!error.code || error.retry) return; // nobody knows: asked again with the next connection
      unanswered.delete(client_key);
      $("trouble").textContent = error.message;
    });
    unanswered.set(client_key, again);
    [$("text").value, $("file").value] = ["", ""];
    await again();
  });
}

async function attempt(act) {
  $("trouble").textContent = "";
  try {
    return await act();
  } catch (error) {
    $("trouble").textContent = error.message;
  }
}

/** The chats that customers wrote in since midnight, from the loader: it answers while every chatserver is down. */
async function today() {
  const from = new Date(new Date().setHours(0, 0, 0, 0)).toISOString();
  const to = new Date(Date.now() + 1000).toISOString();
  const answer = await fetch(`${loader}/v1/chats?${new URLSearchParams({ from, to, limit: 50 })}`, authorized());
  if (!answer.ok) return;
  const { items } = await answer.json();
  const line = (chat) => element("li", { textContent: `${chat.customer?.name ?? chat.title ?? chat.chat} · ${chat.state}` });
  $("today").replaceChildren(...items.map(line));
}

function status(state) {
  $("status").dataset.state = $("status").textContent = state;
}

$("composer").onsubmit = (event) => (event.preventDefault(), send());
$("close").onclick = () => attempt(() => request("close", { chat: shown }));
setInterval(() => today().catch(() => {}), 5_000);
today().catch(() => {});
connect();
