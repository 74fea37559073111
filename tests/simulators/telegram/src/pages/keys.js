"use strict";
// What lies around the customer's text field: the message it answers, the bot's keyboard, the bot's menu.

// The message that the next words answer, or null.
let answers = null;
let forced = null;

function answer(message_id, words) {
  answers = message_id;
  $("answering").hidden = false;
  $("answering-words").textContent = `to: ${words}`;
  $("text").focus();
}

function answerNothing() {
  answers = null;
  $("answering").hidden = true;
}

// What an order carries of the message that is answered.
const answering = () => (answers === null ? {} : { reply_to: answers });

function showKeys(conversation, canWrite) {
  const keys = conversation?.keys;
  const rows = keys?.markup.keyboard ?? [];
  $("keys").hidden = rows.length === 0;
  $("keys").replaceChildren(...rows.map((row) => {
    const shown = line("div", "row", "");
    for (const key of row) {
      const text = key.text ?? key;
      const button = line("button", key.style || "", text);
      button.type = "button";
      button.dataset.key = text;
      button.disabled = !canWrite;
      button.onclick = attempt(() => order("key", { chat, text, ...author() }));
      shown.append(button);
    }
    return shown;
  }));
  $("text").placeholder = keys?.markup.input_field_placeholder || "Message";
  if (keys?.markup.force_reply && forced !== keys.message_id) {
    forced = keys.message_id;
    answer(keys.message_id, conversation.messages.find((one) => one.message_id === forced)?.text || "a message");
  }
}

function showMenu(conversation, canWrite) {
  const commands = conversation?.commands ?? [];
  const button = conversation?.menu_button ?? { type: "commands" };
  $("menu").hidden = commands.length === 0 && button.type === "commands";
  $("menu").disabled = !canWrite;
  const name = button.type === "web_app" ? button.text : "Menu";
  const options = commands.map((one) => new Option(`/${one.command} ${one.description}`, `/${one.command}`));
  $("menu").replaceChildren(new Option(name, ""), ...options);
}
