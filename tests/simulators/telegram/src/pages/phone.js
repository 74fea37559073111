"use strict";
// A customer's phone; messages.js and keys.js are parts of it. Everything it shows is read anew from the simulator whenever that says that something changed.

const $ = (id) => document.getElementById(id);
const query = new URLSearchParams(location.search);
// Whoever opens the page without naming a customer is this one, and can write at once.
const FIRST_NEW_ID = 700100200;
const FIRST_NAME = "Olga";
let acct = query.get("acct") || $("acct").value;
let chat = Number(query.get("chat")) || FIRST_NEW_ID;
let known = false;
let standing = "open";
let events = null;

async function api(method, path, body) {
  const response = await fetch("/control/" + path, {
    method, headers: body && { "content-type": "application/json" }, body: body && JSON.stringify(body),
  });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error);
  return answer;
}
const read = (path, more = {}) => api("GET", path + "?" + new URLSearchParams({ acct, ...more }));
const order = (path, body) => api("POST", path, { acct, ...body });

function notice(text) {
  $("notice").textContent = text;
  $("notice").hidden = false;
  clearTimeout(notice.timer);
  notice.timer = setTimeout(() => { $("notice").hidden = true; }, 5000);
}

// The name that a customer who is not known yet will have.
const newName = () => query.get("name") || (chat === FIRST_NEW_ID ? FIRST_NAME : `Customer ${chat}`);

// Work that a person started: what goes wrong is shown.
const attempt = (work) => async (event) => {
  event?.preventDefault();
  try { await work(event); } catch (error) { notice(error.message); }
};

// At most one reading under way, and one more after it when something changed meanwhile.
let reading = false, again = false;
async function refresh() {
  if (reading) { again = true; return; }
  reading = true;
  try {
    do { again = false; await showAll(); } while (again);
  } catch (error) { notice(error.message); } finally { reading = false; }
}

async function showAll() {
  const asked = { acct, chat };
  const [{ chats }, state] = await Promise.all([read("chats"), read("state")]);
  const found = chats.some((row) => row.chat.id === asked.chat);
  const conversation = found ? await read("chat", { chat: asked.chat }) : null;
  if (asked.acct !== acct || asked.chat !== chat) { again = true; return; }
  showBot(state);
  showCustomers(chats);
  showConversation(conversation);
}

function showBot(state) {
  const heard = state.webhook ? "webhook set" : state.polls.waiting ? "listening" : "not listening";
  $("bot-status").textContent = `${heard}, ${state.queue.waiting} waiting`;
}

const nameOf = (object) => object.title || [object.first_name, object.last_name].filter(Boolean).join(" ");

function showCustomers(chats) {
  $("customers").replaceChildren(...chats.map((row) => {
    const button = document.createElement("button");
    button.dataset.chat = row.chat.id;
    button.setAttribute("aria-current", row.chat.id === chat);
    const last = document.createElement("small");
    last.textContent = row.last ? row.last.deleted ? "removed" : words(row.last).textContent || row.last.file?.kind : "no messages";
    button.append(nameOf(row.chat), last);
    button.onclick = () => open(row.chat.id);
    const item = document.createElement("li");
    item.append(button);
    return item;
  }));
}

let shown = null;
function showConversation(conversation) {
  // What is on the page stays there while nothing changes: a list that somebody has opened stays open.
  const now = JSON.stringify([acct, chat, conversation]);
  if (now === shown) return;
  shown = now;
  known = conversation !== null;
  standing = conversation?.standing ?? "open";
  const title = conversation ? nameOf(conversation.chat) : newName();
  const words = { open: "", never_started: "has not started the bot", migrated: "goes on as a supergroup" };
  $("name").textContent = title;
  $("standing").textContent = conversation?.action ? `bot: ${conversation.action} …` : words[standing] ?? standing;
  $("block").textContent = standing === "blocked" ? "Unblock" : "Block";
  const canWrite = standing === "open" || standing === "never_started";
  for (const id of ["text", "send", "attach", "file", "contact", "location"]) $(id).disabled = !canWrite;
  $("block").disabled = !known || chat < 0;
  const log = $("log");
  const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 60;
  log.replaceChildren(...(conversation?.messages ?? []).map(bubble));
  if (atEnd) log.scrollTop = log.scrollHeight;
  showKeys(conversation, canWrite);
  showMenu(conversation, canWrite);
}

// Sends what a person picked as a phone would: pictures as photos, several at once as an album.
async function send(files) {
  await meet();
  const album = files.length > 1 ? String(Date.now()) : null;
  const kinds = { "image/jpeg": "photo", "image/png": "photo", "image/webp": "photo", "audio/ogg": "voice" };
  for (const [n, file] of [...files].entries()) {
    const kind = kinds[file.type] || { audio: "audio", video: "video" }[file.type.split("/")[0]] || "document";
    const told = { acct, chat, kind, name: file.name, mime: file.type, album, caption: n ? null : $("text").value, ...answering(), ...author() };
    const given = Object.entries(told).filter(([, value]) => value);
    const response = await fetch("/control/file?" + new URLSearchParams(given), { method: "POST", body: file });
    if (!response.ok) throw new Error((await response.json()).error);
  }
  $("text").value = "";
  answerNothing();
}

function open(id) {
  chat = id;
  query.delete("name");
  answerNothing();
  refresh();
  $("text").focus();
}

function listen() {
  events?.close();
  events = new EventSource("/control/events?" + new URLSearchParams({ acct }));
  events.onopen = refresh;
  refresh();
  events.onerror = () => { $("bot-status").textContent = "simulator gone, trying again …"; };
  events.onmessage = (event) => {
    const change = JSON.parse(event.data);
    if (change.notice) notice(change.notice);
    refresh();
  };
}

// In a group somebody has to be the one who writes.
const author = () => (chat < 0 ? { from: FIRST_NEW_ID } : {});
// Who is not known yet gets the name that the page shows.
const meet = () => known || order("customer", { chat, first_name: newName() });

$("compose").onsubmit = attempt(async () => {
  const text = $("text").value;
  if (!text) return;
  await meet();
  await order("message", { chat, text, ...answering(), ...author() });
  $("text").value = "";
  answerNothing();
});
$("new-customer").onsubmit = attempt(async () => {
  const { chats } = await read("chats");
  const id = Math.max(FIRST_NEW_ID - 1, ...chats.map((row) => row.chat.id)) + 1;
  await order("customer", { chat: id, first_name: $("new-name").value });
  $("new-name").value = "";
  open(id);
});
$("attach").onclick = () => $("file").click();
$("file").onchange = attempt(async () => {
  try { await send($("file").files); } finally { $("file").value = ""; }
});
$("contact").onclick = attempt(async () => {
  await meet();
  await order("contact", { chat, own: true, ...author() });
});
$("location").onclick = attempt(async () => {
  await meet();
  await order("location", { chat, ...author() });
});
$("menu").onchange = attempt(async () => {
  const text = $("menu").value;
  $("menu").value = "";
  if (text) await order("message", { chat, text, ...author() });
});
$("answer-nothing").onclick = answerNothing;
$("block").onclick = attempt(() => order(standing === "blocked" ? "unblock" : "block", { chat }));
$("acct").onchange = () => { acct = $("acct").value; chat = FIRST_NEW_ID; listen(); };

$("acct").value = acct;
listen();
// Polls coming and going change no chat: the bot's status is looked at by the clock.
setInterval(refresh, 3000);
