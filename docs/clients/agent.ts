// An agent's program: answers one customer and ends; run again, it goes on where it stopped. Node 22.18 or newer:
// TOKEN=... node agent.ts ws://127.0.0.1:7001/v1/agent http://127.0.0.1:7201 cursors.json
import { existsSync, readFileSync, writeFileSync } from "node:fs";

type Entry = { chat: string; seq: number; kind: string; author: { kind: string }; of?: number; state?: string };
type Cursors = { feed_epoch: number; feeds: Record<string, number> };
const token = process.env.TOKEN;
const [socketUrl, rest, kept] = process.argv.slice(2);
const socket = new WebSocket(socketUrl, "switchboard.v1");
const frames: any[] = []; // not read yet, in their order
let arrived = () => {};
socket.onmessage = ({ data }) => (frames.push(JSON.parse(data)), arrived());
socket.onclose = ({ code }) => code !== 1000 && (console.error(`closed: ${code}`), process.exit(1));

async function frame(wanted: (frame: any) => boolean): Promise<any> {
  for (;;) {
    const at = frames.findIndex(wanted);
    if (at >= 0) return frames.splice(at, 1)[0];
    await new Promise<void>((resolve) => (arrived = resolve));
  }
}
let asked = 0;
async function ask(type: string, fields: object = {}): Promise<any> {
  const id = ++asked;
  socket.send(JSON.stringify({ id, type, ...fields }));
  const answer = await frame(({ re }) => re === id);
  if (answer.type === "error") throw new Error(`${type}: ${answer.code}: ${answer.message}`);
  return answer.result;
}

let cursors: Cursors | undefined = existsSync(kept) ? JSON.parse(readFileSync(kept, "utf8")) : undefined;
// What is new, each once, until one fits: the chats of a resync by their last entry, then entry by entry.
async function entry(fits: (entry: Entry, waits: boolean) => boolean): Promise<Entry> {
  for (;;) {
    const next = await frame(({ re }) => re === undefined);
    if (next.type === "resync") {
      cursors = { feed_epoch: next.feed_epoch, feeds: next.feeds };
      const last = next.chats.filter((chat: any) => chat.unread > 0).map((chat: any) => chat.last);
      for (const one of last) if (fits(one, true)) return one;
    } else if (next.type === "entry" && next.seq > cursors!.feeds[next.feed]) {
      cursors!.feeds[next.feed] = next.seq;
      if (fits(next.entry, next.entry.author.kind === "customer")) return next.entry;
    }
  }
}

await new Promise((resolve) => (socket.onopen = resolve));
const hello = await ask("hello", { token, cursors });
const resumed = Object.values<any>(hello.feeds).every(({ recovered }) => recovered);
const { chat, seq } = await entry((_, waits) => waits);
await ask("take", { chat });
// The same key again, after a lost answer say, is the same message.
const sent = await ask("send", { chat, client_key: `${chat}-${seq}`, text: `TypeScript read entry ${seq}.` });
const done = await entry((one) => one.kind === "outcome" && one.chat === chat && one.of === sent.seq);
writeFileSync(kept, JSON.stringify(cursors));
socket.close(1000);
const [from, to] = [0, 864e5].map((later) => `${new Date(Date.now() + later).toISOString().slice(0, 10)}T00:00:00Z`);
const list = await fetch(`${rest}/v1/chats?from=${from}&to=${to}`, { headers: { Authorization: `Bearer ${token}` } });
const chats = (await list.json()).items.map((item: any) => item.chat);
console.log(JSON.stringify({ resumed, chat, state: done.state, chats }));
