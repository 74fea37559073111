"use strict";
// The bubbles of a conversation. phone.js has the page around them.

const REACTIONS = ["", "👍", "❤", "🔥", "😁", "😢"];
const STYLED = {
  bold: "b", italic: "i", underline: "u", strikethrough: "s", code: "code", pre: "code", blockquote: "q",
  expandable_blockquote: "q", text_link: "a", spoiler: "mark",
};

function bubble(message) {
  const item = document.createElement("li");
  item.className = message.from;
  item.dataset.messageId = message.message_id;
  if (message.deleted) {
    item.classList.add("deleted");
    item.textContent = "message removed";
    return item;
  }
  if (chat < 0) item.append(line("span", "author", message.author));
  if (message.forwarded) item.append(line("span", "forwarded", `forwarded from ${message.forwarded}`));
  if (message.reply_to) item.append(replied(message));
  if (message.file) item.append(media(message.file));
  item.append(words(message));
  item.append(when(message));
  if (message.reactions.length) item.append(reactions(message));
  if (message.buttons) item.append(buttons(message));
  return item;
}

function line(tag, name, text) {
  const element = document.createElement(tag);
  element.className = name;
  element.textContent = text;
  return element;
}

function replied(message) {
  const quoted = line("span", "replied", message.quote || message.reply_text || "a message");
  quoted.dataset.replyTo = message.reply_to;
  return quoted;
}

// What was said, with its formatting; of what has no words, what it is.
function words(message) {
  const { contact, location, venue, poll } = message;
  const other = [
    message.other,
    contact && `contact: ${[contact.first_name, contact.last_name].filter(Boolean).join(" ")} ${contact.phone_number}`,
    venue && `venue: ${venue.title}, ${venue.address}`,
    location && `location: ${location.latitude}, ${location.longitude}${location.live_period ? ", live" : ""}`,
    poll && `poll: ${poll.question} ${poll.options.map((option) => option.text).join(" / ")}`,
  ].filter(Boolean);
  const text = document.createElement("span");
  text.className = "text";
  if (other.length) text.append(`[${other.join("; ")}]`, message.text ? " " : "");
  text.append(...formatted(message.text || "", message.entities || []));
  return text;
}

// Offsets are UTF-16 units, as a browser counts. Each piece between two ends lies in all entities that cover it.
function formatted(text, entities) {
  const ends = new Set([0, text.length]);
  for (const { offset, length } of entities) ends.add(offset).add(offset + length);
  const cuts = [...ends].sort((a, b) => a - b);
  return cuts.slice(1).map((end, n) => {
    const start = cuts[n];
    const around = entities.filter((one) => one.offset <= start && end <= one.offset + one.length && STYLED[one.type]);
    return around.reduceRight((inner, entity) => {
      const element = document.createElement(STYLED[entity.type]);
      element.append(inner);
      if (entity.url && ["http:", "https:"].includes(new URL(entity.url).protocol)) element.href = entity.url;
      return element;
    }, document.createTextNode(text.slice(start, end)));
  });
}

// What the bot and the customer sent each other: shown when a browser can, else a link.
function media(file) {
  const address = "/control/media?" + new URLSearchParams({ acct, file_id: file.file_id });
  const tags = { photo: "img", sticker: "img", voice: "audio", audio: "audio", video: "video", video_note: "video", animation: "video" };
  const element = document.createElement(tags[file.kind] || "a");
  element.className = "file";
  element.dataset.sha256 = file.sha256;
  element.dataset.kind = file.kind;
  const name = file.name || file.kind;
  if (element.tagName === "A") {
    element.href = address;
    element.download = name;
    element.textContent = `${name} (${file.bytes} bytes)`;
  } else {
    element.src = address;
    element.title = name;
    if (element.tagName === "IMG") element.alt = name; else element.controls = true;
  }
  return element;
}

// When it was said, and what the customer may do with it.
function when(message) {
  const time = line("time", "", new Date(message.date * 1000).toLocaleTimeString() + (message.edited ? ", edited" : ""));
  if (message.other) return time;
  time.append(does("reply", () => answer(message.message_id, message.text || "a message")));
  if (message.from === "customer") {
    if (message.text) {
      time.append(does("edit", async () => {
        const text = prompt("New text", message.text);
        if (text) await order("edit", { chat, message_id: message.message_id, text });
      }));
    }
    time.append(does("remove", () => order("take_back", { chat, message_id: message.message_id })));
  }
  const own = message.reactions.find((one) => one.from === "customer");
  const react = document.createElement("select");
  react.className = "react";
  react.ariaLabel = "Reaction";
  react.append(...REACTIONS.map((emoji) => new Option(emoji || "react", emoji)));
  react.value = REACTIONS.includes(own?.emoji) ? own.emoji : "";
  react.onchange = attempt(() => {
    const emoji = react.value ? [react.value] : [];
    return order("reaction", { chat, message_id: message.message_id, emoji, ...author() });
  });
  time.append(react);
  return time;
}

function does(name, work) {
  const button = line("button", name, name);
  button.type = "button";
  button.onclick = attempt(work);
  return button;
}

function reactions(message) {
  const box = line("span", "reactions", "");
  for (const one of message.reactions) {
    const emoji = line("span", one.from, one.emoji);
    emoji.title = one.from === "bot" ? "from the bot" : "from a customer";
    box.append(emoji);
  }
  return box;
}

function buttons(message) {
  const box = line("div", "buttons", "");
  for (const row of message.buttons) {
    const shown = line("div", "row", "");
    for (const one of row) {
      const button = line("button", one.style || "", one.text);
      button.type = "button";
      button.disabled = one.callback_data === undefined;
      if (one.callback_data !== undefined) button.dataset.callback = one.callback_data;
      button.title = one.url || one.copy_text?.text || "";
      const press = { chat, message_id: message.message_id, data: one.callback_data, ...author() };
      button.onclick = attempt(() => order("callback", press));
      shown.append(button);
    }
    box.append(shown);
  }
  return box;
}
