// The file of the next message: uploaded as soon as it is chosen or pasted, under a key of its own, so that trying again is
// the same upload. A message names it once it is whole.

import { kept } from "/session.js";

export class Attach {
  #draw;
  #drafts = new Map(); // chat → { account, key, blob, name, state, done, reason, file, request }

  constructor(draw) {
    this.#draw = draw;
  }

  /** The chat's file: `uploading` (with `done`, 0 to 1), `ready` or `failed` (with `reason`). */
  of(chat) {
    return this.#drafts.get(chat);
  }

  /** Takes the place of the one before. */
  add(chat, account, blob) {
    this.remove(chat);
    const draft = { account, key: crypto.randomUUID(), blob, name: blob.name || "file" };
    this.#drafts.set(chat, draft);
    this.#upload(draft);
  }

  again(chat) {
    this.#upload(this.#drafts.get(chat));
  }

  remove(chat) {
    this.#drafts.get(chat)?.request?.abort();
    this.#drafts.delete(chat);
    this.#draw();
  }

  /** Puts back what a refused message carried. */
  restore(chat, file) {
    this.remove(chat);
    this.#drafts.set(chat, { name: file.name, state: "ready", file });
    this.#draw();
  }

  /** The uploaded file, for a message that carries it away. */
  take(chat) {
    const file = this.#drafts.get(chat)?.file;
    this.#drafts.delete(chat);
    return file;
  }

  forget() {
    for (const chat of [...this.#drafts.keys()]) this.remove(chat);
  }

  #upload(draft) {
    const request = new XMLHttpRequest(); // fetch tells no progress of what is sent
    Object.assign(draft, { request, state: "uploading", done: 0, reason: null });
    const end = (state, more) => {
      if (draft.request === request) Object.assign(draft, { state, ...more });
      this.#draw();
    };
    const [account, key, name] = [draft.account, draft.key, draft.name].map(encodeURIComponent);
    request.open("PUT", `${kept.files ?? ""}/files/${account}/${key}?name=${name}`);
    request.setRequestHeader("Authorization", `Bearer ${kept.token}`);
    request.setRequestHeader("Content-Type", draft.blob.type || "application/octet-stream");
    request.responseType = "json";
    request.upload.onprogress = ({ loaded, total }) => end("uploading", { done: total ? loaded / total : 0 });
    request.onerror = () => end("failed", { reason: "the file server cannot be reached" });
    request.onload = () => {
      const { status, response } = request;
      if (status >= 200 && status < 300 && response?.file) return end("ready", { file: response, blob: null });
      const words = { 404: "there is no file server here", 413: "it is too large" }[status] ?? `HTTP ${status}`;
      end("failed", { reason: response?.detail ?? response?.title ?? words });
    };
    request.send(draft.blob);
    this.#draw();
  }
}

/** The file beside the words that go with it; `el` makes elements. */
export function attachRow(el, { name, state, done, reason }) {
  const button = (action, label) => el("button", { type: "button", class: "quiet", "data-action": action }, label);
  return el("div", { class: "draft", "data-state": state },
    el("bdi", {}, name),
    state === "uploading" ? el("progress", { max: 1, value: done, "aria-label": "uploaded" }) : null,
    state === "failed" ? el("span", { class: "why", role: "alert" }, `not uploaded: ${reason}`) : null,
    state === "failed" ? button("attach-again", "Try again") : null,
    button("attach-remove", "Remove"));
}
