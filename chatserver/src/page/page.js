// Draws the desk and passes on what the agent does. Every text from outside enters as a text node, never as markup,
// so nothing a customer writes can become an element. README.md lists the ids and data attributes tests rely on.

import { Attach, attachRow } from "/attach.js";
import { Desk } from "/desk.js";
import { Files, fileRow, fileWord } from "/files.js";
import { keep, kept } from "/session.js";
import { waitWords } from "/waiting.js";

const NEAR_END_PX = 48; // closer than this to the end of the log, new lines are followed
const OPEN = new Set(["queued", "sending"]); // states of a part that is not decided
const $ = (id) => document.getElementById(id);
const drafts = new Map(); // chat → text not yet sent
let drawn = { chat: null, first: null }; // what the log showed last
let asked = false; // a drawing is due with the next frame
let following = true; // the end of the log is on screen, and stays there

const desk = new Desk({ draw, alarm, status });
const files = new Files({ draw, alarm });
const attach = new Attach(draw);

function draw() {
  if (!asked) requestAnimationFrame(drawAll);
  asked = true;
}

function drawAll() {
  asked = false;
  $("agent").textContent = desk.me.display_name;
  const all = [...desk.chats.values()];
  const at = (chat) => chat.last?.at ?? "";
  const waiting = all.filter((chat) => chat.state === "waiting").sort((a, b) => at(a).localeCompare(at(b)));
  const mine = all.filter((chat) => desk.isMine(chat)).sort((a, b) => at(b).localeCompare(at(a)));
  drawChats("waiting", waiting);
  drawChats("chats", mine);
  const unread = mine.reduce((sum, chat) => sum + chat.unread, 0);
  document.title = unread ? `(${unread}) Switchboard: agent` : "Switchboard: agent";
  const chat = desk.chats.get(desk.open?.chat);
  $("nothing").hidden = Boolean(chat);
  $("chat").hidden = !chat;
  if (drawn.chat !== (chat?.chat ?? null)) {
    drafts.set(drawn.chat, $("text").value);
    $("text").value = drafts.get(chat?.chat) ?? "";
  }
  if (chat) drawChat(chat);
  else desk.waiting.look(null, []);
  drawn.chat = chat?.chat ?? null;
}

function drawChats(list, chats) {
  $(`${list}-count`).textContent = chats.length || "";
  const rows = chats.map((chat) => {
    const isOpen = desk.open?.chat === chat.chat;
    const { last, unread } = chat;
    const make = () =>
      el("li", { "data-chat": chat.chat, "data-unread": unread, "data-open": isOpen },
        el("button", { class: "pick", type: "button", "data-action": "select" },
          el("span", { class: "face", "data-hue": Number(chat.chat) % 6 }, title(chat).match(/[\p{L}\p{N}]/u)?.[0] ?? "?"),
          el("b", { dir: "auto" }, title(chat)),
          last && time(last.at),
          el("span", { class: "last", dir: "auto" }, last ? (last.author.kind === "agent" ? "↩ " : "") + words(last) : aboutChat(chat)),
          unread ? el("span", { class: "unread", title: "unread" }, unread) : null),
        list === "waiting" ? el("button", { type: "button", class: "main", "data-action": "take" }, "Take") : null);
    return { key: chat.chat, looks: [title(chat), last, unread, isOpen], make };
  });
  reconcile($(list), rows);
}

/** Asked for anew each time it is opened: an operator may have changed them. */
async function showReplies() {
  const list = $("canned-list");
  if (!list.hidden) return void (list.hidden = true);
  const rows = (await desk.replies()).map((reply) => {
    const make = () => el("li", {}, el("button", { type: "button", class: "quiet", "data-action": "say", "data-text": reply.text, title: reply.text }, reply.key));
    return { key: reply.id, looks: reply, make };
  });
  reconcile(list, rows);
  list.hidden = rows.length === 0;
}

function drawChat(chat) {
  const end = fromEnd();
  const mine = desk.isMine(chat);
  $("chat").dataset.chat = chat.chat;
  $("chat").dataset.state = mine ? "mine" : chat.state;
  $("chat-title").textContent = title(chat);
  $("chat-about").textContent = aboutChat(chat);
  $("take").hidden = chat.state !== "waiting";
  for (const id of ["close", "release", "transfer", "composer"]) $(id).hidden = !mine;
  $("reopen").hidden = chat.state !== "closed";
  if (!mine || drawn.chat !== chat.chat) $("transfer-form").hidden = true;
  $("older").hidden = !desk.open.before;
  const draft = attach.of(chat.chat);
  $("draft").hidden = !draft;
  reconcile($("draft"), draft ? [{ key: chat.chat, looks: [draft.name, draft.state, draft.done, draft.reason], make: () => attachRow(el, draft) }] : []);
  $("send").disabled = Boolean(draft) && draft.state !== "ready";

  const box = $("scroll");
  const entries = [...desk.open.log.values()].sort((a, b) => a.seq - b.seq);
  reconcile($("log"), [...logRows(entries), ...desk.unsent().map(unsentRow)]);
  const first = entries[0]?.seq;
  if (drawn.chat !== chat.chat || following) toEnd();
  else if (first !== drawn.first) box.scrollTop = box.scrollHeight - box.clientHeight - end; // older ones came above
  drawn.first = first;
}

const fromEnd = () => $("scroll").scrollHeight - $("scroll").scrollTop - $("scroll").clientHeight;

function toEnd() {
  $("scroll").scrollTop = $("scroll").scrollHeight;
  following = true;
}

function logRows(entries) {
  const states = delivery(entries);
  const ends = new Map(entries.filter((entry) => entry.kind === "file").map((entry) => [entry.file, entry]));
  const corrected = new Set(entries.filter((entry) => entry.kind === "edited").map((entry) => entry.of));
  const undecided = [...states].flatMap(([seq, parts]) => parts.flatMap(({ state }, part) => (OPEN.has(state) ? [`${seq}:${part}`] : [])));
  desk.waiting.look(desk.open.chat, undecided);
  const rows = [];
  let day = null;
  for (const entry of entries) {
    const isSaid = entry.kind === "message" || entry.kind === "edited";
    const parts = states.get(entry.seq);
    if (entry.kind === "outcome" && states.has(entry.of) && !entry.by) continue; // shown under its message
    if (entry.kind === "file" && desk.open.log.has(entry.of)) continue; // shown with its message
    const date = new Date(entry.at).toLocaleDateString([], { weekday: "long", day: "numeric", month: "long" });
    if (date !== day) rows.push({ key: `day ${date}`, looks: date, make: () => el("li", { class: "day" }, date) });
    day = date;
    const waits = [`${entry.chat}:${entry.seq}`, ...(parts ?? []).map((_, part) => `${entry.chat}:${entry.seq}:${part}`)];
    const busy = new Set(waits.filter((mark) => desk.busy.has(mark)));
    const old = corrected.has(entry.seq);
    const held = parts?.map((_, part) => desk.waiting.of(`${entry.seq}:${part}`));
    const attached = files.of(entry, ends);
    const make = () => (isSaid ? saidRow(entry, parts, old, busy, held, attached) : noteRow(entry));
    rows.push({ key: `seq ${entry.seq}`, looks: [entry, parts, old, [...busy], held, attached], make });
  }
  return rows;
}

/** For each of our messages its parts as they are now: what history said, then the outcomes in the log's order. */
function delivery(entries) {
  const states = new Map();
  for (const entry of entries) {
    if (entry.kind === "message" && entry.author.kind === "agent") {
      const parts = Array.from({ length: entry.parts ?? 1 }, () => ({ state: "queued", reason: null }));
      for (const known of entry.delivery ?? []) parts[known.part] = known;
      states.set(entry.seq, parts);
    } else if (entry.kind === "outcome" && states.has(entry.of)) {
      states.get(entry.of)[entry.part] = { state: entry.state, reason: entry.reason };
    }
  }
  return states;
}

function saidRow(entry, parts, old, busy, held, attached) {
  const { seq, author, kind } = entry;
  const head = el("p", { class: "head" }, el("bdi", {}, author.name), kind === "edited" ? " · correction" : null,
    old ? " · corrected below" : null, time(entry.at));
  return el("li", { class: author.kind === "agent" ? "said ours" : "said", "data-seq": seq, "data-kind": kind, "data-old": old },
    head,
    ...attached.map((file) => fileRow(el, file)),
    ...(entry.content ?? []).map((item) => el("p", { class: "content" }, `[${item.of ?? item.type}] This page cannot show it yet.`)),
    entry.text ? el("p", { class: "text", dir: "auto" }, entry.text) : null,
    parts ? el("div", { class: "delivery" }, ...parts.map((part, at) => partLine(entry, part, at, parts.length, busy, held[at])), cancelButton(entry, parts, busy)) : null);
}

function partLine(entry, { state, reason }, part, of, busy, waits) {
  const held = busy.has(`${entry.chat}:${entry.seq}:${part}`);
  const decide = (action, label) =>
    el("button", { type: "button", "data-action": action, "data-seq": entry.seq, "data-part": part, disabled: held }, label);
  const name = of > 1 ? `Part ${part + 1} of ${of}: ` : "";
  return el("div", { class: "part", "data-part": part, "data-state": state }, name + stateWords(state, reason),
    waits ? el("span", { class: "wait", "data-reason": waits.reason, "data-position": waits.position }, waitWords(waits)) : null,
    state === "unconfirmed"
      ? el("span", { class: "choice" }, decide("resend", "Send again"), decide("mark_sent", "It arrived"), decide("drop", "Give up"))
      : null);
}

function cancelButton(entry, parts, busy) {
  if (!parts.some((part) => part.state === "queued")) return null;
  const held = busy.has(`${entry.chat}:${entry.seq}`);
  return el("button", { type: "button", class: "quiet", "data-action": "cancel", "data-seq": entry.seq, disabled: held }, "Cancel");
}

function stateWords(state, reason) {
  const because = reason ? `: ${reason}` : "";
  switch (state) {
    case "queued": return "waits to be sent";
    case "sending": return "being sent";
    case "sent": return "✓ sent";
    case "failed": return `✗ not delivered${because}`;
    case "cancelled": return "cancelled";
    case "closed": return { marked_sent: "✓ marked as arrived", dropped: "given up" }[reason] ?? `closed${because}`;
    case "unconfirmed": return `May have arrived, or not; the platform cannot tell${reason ? ` (${reason})` : ""}.`;
    default: return state + because;
  }
}

function noteRow(entry) {
  return el("li", { class: "note", "data-seq": entry.seq, "data-kind": entry.kind }, el("span", { dir: "auto" }, words(entry)), time(entry.at));
}

function unsentRow(text) {
  const say = { waiting: text.reason ?? "not sent yet", asking: "being accepted", accepted: "waits to be sent", refused: `Not sent: ${text.reason}` };
  const button = (action, label) => el("button", { type: "button", "data-action": action, "data-key": text.key }, label);
  const make = () =>
    el("li", { class: "said ours unsent", "data-key": text.key, "data-state": text.state },
      el("p", { class: "head" }, el("bdi", {}, desk.me.display_name)),
      text.file ? el("p", { class: "about" }, el("bdi", {}, fileWord(text.file))) : null,
      text.text ? el("p", { class: "text", dir: "auto" }, text.text) : null,
      el("div", { class: "delivery" }, el("div", { class: "part", "data-state": text.state }, say[text.state],
        text.state === "refused" ? el("span", { class: "choice" }, button("again", "Send anyway"), button("edit", "Edit")) : null)));
  return { key: `key ${text.key}`, looks: [text.text, text.state, text.reason], make };
}

/** An entry in one line, for lists and notes. */
function words(entry) {
  switch (entry.kind) {
    case "message": return entry.text || entry.files?.map(fileWord).join(" ") || `[${entry.content?.map((item) => item.of ?? item.type).join(", ") ?? "message"}]`;
    case "edited": return `✎ ${entry.text}`;
    case "opened": return entry.by ? `Opened by ${entry.author.name}` : `Waits in the queue ${entry.queue}`;
    case "taken": return `Taken by ${entry.author.name ?? entry.agent}`;
    case "released": return `Given back to ${entry.queue} by ${entry.author.name}`;
    case "transferred": return `Handed to ${entry.to.agent ?? entry.to.queue} by ${entry.author.name}${entry.note ? `: ${entry.note}` : ""}`;
    case "closed": return `Closed${entry.author.name ? ` by ${entry.author.name}` : ""}${entry.outcome ? `: ${entry.outcome}` : ""}`;
    case "membership": return entry.state === "left" ? "The customer blocked this account" : "The customer came back";
    case "file": return entry.state === "ready" ? "A file was fetched" : `A file could not be fetched: ${entry.reason}`;
    case "outcome": return `${entry.by ? `${entry.by}: ` : ""}message ${entry.of}${entry.parts > 1 ? `, part ${entry.part + 1}` : ""}: ${
      entry.by && entry.state === "queued" ? "sent again" : stateWords(entry.state, entry.reason)}`;
    default: return `[${entry.kind}] ${entry.text ?? ""}`;
  }
}

const title = (chat) => chat.title || chat.customer?.name || `Chat ${chat.chat}`;

function aboutChat(chat) {
  const taker = desk.isMine(chat) ? "you" : chat.agent;
  const state = { waiting: `waits in ${chat.queue}`, taken: `taken by ${taker}`, closed: "closed" }[chat.state];
  return [chat.platform, chat.account, state].filter(Boolean).join(" · ");
}

function time(at) {
  const date = new Date(at);
  return el("time", { datetime: at, title: date.toLocaleString() }, date.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", hourCycle: "h23" }));
}

/** An element; strings among its children become text nodes. */
function el(tag, attributes, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== false) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

/** Makes the list's children these rows; one that looks as before stays, with its focus and selection. */
function reconcile(list, rows) {
  const before = new Map([...list.children].map((node) => [node.rowKey, node]));
  const nodes = rows.map(({ key, looks, make }) => {
    const rowLooks = JSON.stringify(looks);
    const node = before.get(key);
    return node?.rowLooks === rowLooks ? node : Object.assign(make(), { rowKey: key, rowLooks });
  });
  const stay = new Set(nodes);
  for (const node of before.values()) if (!stay.has(node)) node.remove();
  nodes.forEach((node, at) => {
    if (list.children[at] !== node) list.insertBefore(node, list.children[at] ?? null);
  });
}

function alarm(message) {
  $("alert").hidden = !message;
  $("alert-text").textContent = message;
}

function status(state, message, needsToken = false) {
  $("status").dataset.state = state;
  $("status-text").textContent = message;
  $("retry").hidden = needsToken || !["waiting", "stopped"].includes(state);
  $("token-form").hidden = !needsToken;
  draw();
}

// ---------------------------------------------------------------------------------- what the agent does

const actions = {
  select: (_, chat) => desk.select(chat),
  take: (_, chat) => desk.take(chat),
  close: (_, chat) => desk.close(chat),
  reopen: (_, chat) => desk.start({ chat }),
  release: (_, chat) => desk.release(chat),
  transfer: () => ($("transfer-form").hidden = !$("transfer-form").hidden),
  older: () => desk.loadOlder(),
  dismiss: () => alarm(""),
  retry: () => desk.session.open(),
  leave: () => begin(null),
  save: (button) => files.save(button.dataset.path, button.dataset.name),
  attach: () => $("attach-file").click(),
  "attach-again": () => attach.again(desk.open.chat),
  "attach-remove": () => attach.remove(desk.open.chat),
  again: (button) => desk.again(button.dataset.key),
  canned: showReplies,
  say(button) {
    $("text").value = [$("text").value, button.dataset.text].filter(Boolean).join(" ");
    $("canned-list").hidden = true;
    $("text").focus();
  },
  edit(button) {
    const back = desk.takeBack(button.dataset.key);
    $("text").value = [back?.text, $("text").value].filter(Boolean).join("\n");
    if (back?.file) attach.restore(back.chat, back.file);
    $("text").focus();
  },
};
for (const action of ["resend", "mark_sent", "drop", "cancel"]) {
  actions[action] = (button) => desk.decide(action, Number(button.dataset.seq), Number(button.dataset.part));
}

document.addEventListener("click", (click) => {
  const button = click.target.closest("[data-action]");
  if (button) actions[button.dataset.action](button, button.closest("[data-chat]")?.dataset.chat);
});

$("scroll").addEventListener("scroll", () => {
  following = fromEnd() < NEAR_END_PX;
  if ($("scroll").scrollTop < NEAR_END_PX && !following) desk.loadOlder();
});

new ResizeObserver(() => following && toEnd()).observe($("scroll"));

$("composer").addEventListener("submit", (submit) => {
  submit.preventDefault();
  const draft = attach.of(desk.open.chat);
  if (draft ? draft.state !== "ready" : $("text").value.trim() === "") return;
  desk.write($("text").value.trim() && $("text").value, attach.take(desk.open.chat));
  $("text").value = "";
  toEnd();
});

$("text").addEventListener("keydown", (key) => {
  if (key.key !== "Enter" || key.shiftKey || key.isComposing) return;
  key.preventDefault();
  $("composer").requestSubmit();
});

function attachFile(file) {
  if (file) attach.add(desk.open.chat, desk.chats.get(desk.open.chat).account, file);
}

$("attach-file").addEventListener("change", () => {
  attachFile($("attach-file").files[0]);
  $("attach-file").value = ""; // the same file may be chosen again
});

$("text").addEventListener("paste", (paste) => {
  if (paste.clipboardData.files.length === 0) return; // words
  paste.preventDefault();
  attachFile(paste.clipboardData.files[0]);
});

$("start-form").addEventListener("submit", async (submit) => {
  submit.preventDefault();
  const [account, address, name] = ["account", "address", "name"].map((field) => $(`start-${field}`).value.trim());
  if (!(await desk.start({ account, address, name: name || undefined }))) return;
  $("start-form").reset();
  $("start").open = false;
});

$("transfer-form").addEventListener("submit", async (submit) => {
  submit.preventDefault();
  const done = await desk.transfer(desk.open.chat, $("transfer-kind").value, $("transfer-to").value.trim(), $("transfer-note").value);
  if (done) $("transfer-form").reset();
  $("transfer-form").hidden = done;
});

$("token-form").addEventListener("submit", (submit) => {
  submit.preventDefault();
  begin($("token").value.trim());
  $("token").value = "";
});

addEventListener("online", () => $("status").dataset.state === "waiting" && desk.session.open());

/** Connects with a token, or without one asks for it. The token is never part of an address. */
function begin(token, base = null) {
  if (token !== kept.token) {
    files.forget();
    attach.forget();
  }
  Object.assign(kept, { token, files: base });
  keep();
  $("desk").hidden = $("leave").hidden = !token;
  $("token-form").hidden = Boolean(token);
  if (token) return desk.session.open();
  desk.session.leave();
  status("idle", "not connected", true);
}

/** `#token=…&files=https://…` is taken out of the address bar at once, so that it is neither bookmarked nor copied along. */
function begun() {
  const given = new URLSearchParams(location.hash.slice(1));
  if (location.hash) history.replaceState(null, "", location.pathname);
  // Another file server comes with its token only: a link alone must not lead the kept one elsewhere.
  if (given.get("token")) begin(given.get("token"), given.get("files"));
  else begin(kept.token, kept.files);
}

addEventListener("hashchange", begun);
begun();
