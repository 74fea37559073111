// Files of messages: asked of the file server with the agent's token, shown from memory. The address of a file is no
// secret and the token is never part of it.

import { kept } from "/session.js";

const PICTURES = new Set(["image/jpeg", "image/png", "image/gif", "image/webp"]); // shown; anything else is only offered
const PICTURE_BYTES = 10 * 1024 * 1024; // a larger one is offered, too
const AT_ONCE = 3;
const KEPT = 60; // pictures in memory

export class Files {
  #view;
  #pictures = new Map(); // "account/file" → { url, failed }: the newest last
  #queue = [];
  #running = 0;

  /** `view` is told what to do: { draw, alarm }. */
  constructor(view) {
    this.#view = view;
  }

  /** A message's files as they are now; `ends` maps a file to its `file` entry. Those of agents were there from the beginning. */
  of(entry, ends) {
    return (entry.files ?? []).map((file) => {
      const end = ends.get(file.file);
      const state = entry.author.kind === "agent" ? "ready" : (end?.state ?? "pending");
      const mime = end ? end.mime : file.mime;
      const size = end?.size_bytes ?? file.size_bytes;
      const shown = state === "ready" && PICTURES.has(mime) && size <= PICTURE_BYTES;
      const path = `${entry.account}/${file.file}`;
      return { ...file, path, state, size_bytes: size, reason: end?.reason, picture: shown ? this.#picture(path) : null };
    });
  }

  /** Saves a file where the browser saves files. */
  async save(path, name) {
    try {
      const url = URL.createObjectURL(await this.#fetch(path));
      Object.assign(document.createElement("a"), { href: url, download: name }).click();
      setTimeout(() => URL.revokeObjectURL(url), 60_000);
    } catch (error) {
      this.#view.alarm(`${name}: ${error.message}`);
    }
  }

  /** Forgets what another agent may not see. */
  forget() {
    for (const { url } of this.#pictures.values()) URL.revokeObjectURL(url);
    this.#pictures.clear();
    this.#queue = [];
  }

  #picture(path) {
    const known = this.#pictures.get(path);
    if (known) return known;
    const picture = { url: null, failed: null };
    this.#pictures.set(path, picture);
    this.#queue.push({ path, picture });
    this.#next();
    const [oldest] = this.#pictures;
    if (this.#pictures.size > KEPT && oldest[1].url) {
      URL.revokeObjectURL(oldest[1].url);
      this.#pictures.delete(oldest[0]);
    }
    return picture;
  }

  async #next() {
    if (this.#running >= AT_ONCE || this.#queue.length === 0) return;
    this.#running += 1;
    const { path, picture } = this.#queue.shift();
    try {
      const blob = await this.#fetch(path);
      if (!PICTURES.has(blob.type)) throw new Error("it is no picture");
      if (this.#pictures.get(path) === picture) picture.url = URL.createObjectURL(blob);
    } catch (error) {
      picture.failed = error.message;
    }
    this.#running -= 1;
    this.#view.draw();
    this.#next();
  }

  async #fetch(path) {
    const [account, file] = path.split("/").map(encodeURIComponent);
    const answer = await fetch(`${kept.files ?? ""}/files/${account}/${file}`, {
      headers: { authorization: `Bearer ${kept.token}` },
      credentials: "omit",
      redirect: "error",
    }).catch(() => {
      throw new Error("the file server cannot be reached");
    });
    if (answer.ok) return answer.blob();
    const problem = await answer.json().catch(() => ({}));
    throw new Error(problem.detail ?? problem.title ?? `HTTP ${answer.status}`);
  }
}

/** A file's place under its message; `el` makes elements. */
export function fileRow(el, file) {
  const name = nameOf(file);
  const about = [file.kind.replace("_", " "), sizeOf(file.size_bytes)].filter(Boolean).join(", ");
  const said = { pending: "is being fetched …", failed: `could not be fetched: ${file.reason}` }[file.state];
  const save = (...inside) =>
    el("button", { type: "button", class: "file", "data-action": "save", "data-path": file.path, "data-name": name, title: `Save ${name}` }, ...inside);
  const { url, failed } = file.picture ?? {};
  return el("div", { class: "attached", "data-file": file.file, "data-state": file.state, "data-picture": url ? "shown" : undefined },
    url ? save(el("img", { src: url, alt: name })) : null,
    file.state === "ready"
      ? save(el("bdi", {}, name), el("span", { class: "about" }, about))
      : el("p", { class: "file" }, el("bdi", {}, name), el("span", { class: "about" }, `${about} ${said ?? file.state}`)),
    failed ? el("p", { class: "about" }, `The picture cannot be shown: ${failed}`) : null);
}

/** A file in a word, for lists. */
export const fileWord = (file) => `[${file.name ?? file.kind.replace("_", " ")}]`;

function nameOf(file) {
  const ending = /^[a-z]+\/([a-z0-9]+)$/.exec(file.mime ?? "")?.[1].replace("jpeg", "jpg");
  return file.name ?? `${file.kind}-${file.file.slice(0, 8)}${ending ? `.${ending}` : ""}`;
}

function sizeOf(bytes) {
  if (typeof bytes !== "number") return null;
  if (bytes < 1000) return `${bytes} bytes`;
  const [unit, size] = bytes < 1e6 ? ["kB", bytes / 1e3] : ["MB", bytes / 1e6];
  return `${size < 10 ? size.toFixed(1) : Math.round(size)} ${unit}`;
}
