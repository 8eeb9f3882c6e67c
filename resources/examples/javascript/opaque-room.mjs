// A messenger that encrypts by itself, in one file: Node 18 or newer, no packages.
//
//   node opaque-room.mjs DATA_DIR create NAME
//   node opaque-room.mjs DATA_DIR invite ROOM
//   node opaque-room.mjs DATA_DIR join   LINK
//   node opaque-room.mjs DATA_DIR send   ROOM TEXT...      one message for each TEXT
//   node opaque-room.mjs DATA_DIR follow ROOM [COUNT]      print messages as they come; end after COUNT
//
// `send` and `follow` need RAILGUN_EXAMPLE_KEY, 64 hex digits that the members agreed on. Where this file calls `seal`
// and `open`, a messenger puts its own protocol: the engine takes the bytes as they are and never looks inside.

import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createConnection } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";

const CIPHER = "chacha20-poly1305";
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

class Refusal extends Error {}

/** One connection to the local API: JSON objects, one a line, both ways. */
class Engine {
  #socket;
  #lines;
  #nextId = 1;

  static async connect(dataDir) {
    let door;
    try {
      door = JSON.parse(await readFile(join(dataDir, "run", "api.json"), "utf8"));
    } catch {
      throw new Refusal("No engine runs on this data directory.");
    }
    const engine = new Engine();
    engine.#socket = door.socket ? createConnection(door.socket) : createConnection(door.port, "127.0.0.1");
    await new Promise((resolve, reject) => {
      engine.#socket.once("connect", resolve);
      engine.#socket.once("error", () => reject(new Refusal("The engine does not answer.")));
    });
    engine.#socket.on("error", () => engine.#socket.destroy());
    engine.#lines = createInterface({ input: engine.#socket, crlfDelay: Infinity })[Symbol.asyncIterator]();
    if (!door.socket) await engine.#greet(door); // TCP, as on Windows: both sides prove that they know the file
    return engine;
  }

  async #greet(door) {
    this.#socket.write(JSON.stringify({ token: door.token }) + "\n");
    if ((await this.#next()).ok !== door.answer) throw new Refusal("Something else answers at the engine's port.");
  }

  async #next() {
    const { value, done } = await this.#lines.next();
    if (done) throw new Refusal("The engine stopped before it answered.");
    const reply = JSON.parse(value);
    if (reply.error) throw new Refusal(reply.error.sentence);
    return reply;
  }

  #ask(verb, args) {
    const id = this.#nextId++;
    this.#socket.write(JSON.stringify({ id, verb, args }) + "\n");
    return id;
  }

  /** One question, one answer. Only one at a time on a connection of this example. */
  async call(verb, args) {
    this.#ask(verb, args);
    return (await this.#next()).ok;
  }

  /** A stream of events, until the caller has enough or the engine ends it. */
  async *stream(verb, args) {
    this.#ask(verb, args);
    for (let reply = await this.#next(); !reply.done; reply = await this.#next()) yield reply.event;
  }

  close() {
    this.#socket.destroy();
  }
}

function agreedKey() {
  const digits = process.env.RAILGUN_EXAMPLE_KEY ?? "";
  if (!/^[0-9a-f]{64}$/i.test(digits)) throw new Refusal("RAILGUN_EXAMPLE_KEY must be 64 hex digits.");
  return Buffer.from(digits, "hex");
}

function seal(key, text) {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv(CIPHER, key, nonce, { authTagLength: TAG_BYTES });
  const sealed = Buffer.concat([cipher.update(text, "utf8"), cipher.final()]);
  return Buffer.concat([nonce, sealed, cipher.getAuthTag()]);
}

function open(key, body) {
  if (body.length < NONCE_BYTES + TAG_BYTES) throw new Error("too short");
  const decipher = createDecipheriv(CIPHER, key, body.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES });
  decipher.setAuthTag(body.subarray(body.length - TAG_BYTES));
  const sealed = body.subarray(NONCE_BYTES, body.length - TAG_BYTES);
  return Buffer.concat([decipher.update(sealed), decipher.final()]).toString("utf8");
}

function shown(key, message) {
  const body = Buffer.from(message.body, "base64");
  if (!message.opaque) return "(a message of another program)";
  try {
    return open(key, body);
  } catch {
    return "(sealed with another key)";
  }
}

async function follow(engine, room, count) {
  const key = agreedKey();
  let printed = 0;
  for await (const page of engine.stream("room.follow", { room, since: 0 })) {
    for (const message of page.messages) {
      console.log(`${message.me ? "you" : message.sender}: ${shown(key, message)}`);
      printed += 1;
      if (printed === count) return;
    }
  }
}

async function send(engine, room, texts) {
  const key = agreedKey();
  const messages = texts.map((text) => seal(key, text).toString("base64"));
  const sent = await engine.call("room.send_opaque", { room, messages, wait: "stored", wait_s: 60 });
  console.log(`${sent.reached} of ${sent.lines} stored`);
  if (sent.waiting > 0) process.exitCode = 1; // they are in the outbox and go on by themselves
}

const USAGE =
  "Use: node opaque-room.mjs DATA_DIR create NAME | invite ROOM | join LINK | send ROOM TEXT... | follow ROOM [COUNT]";

async function main([dataDir, act, target, ...rest]) {
  if (!target || (act === "send" && rest.length === 0)) throw new Refusal(USAGE);
  const acts = {
    create: async (engine) => console.log((await engine.call("room.create", { name: target })).room),
    invite: async (engine) => console.log((await engine.call("room.invite", { room: target })).link),
    join: async (engine) => console.log((await engine.call("room.join", { link: target })).room),
    send: (engine) => send(engine, target, rest),
    follow: (engine) => follow(engine, target, Number(rest[0] ?? 0)),
  };
  if (!Object.hasOwn(acts, act)) throw new Refusal(USAGE);
  const engine = await Engine.connect(dataDir);
  try {
    await acts[act](engine);
  } finally {
    engine.close();
  }
}

main(process.argv.slice(2)).catch((error) => {
  console.error(error instanceof Refusal ? error.message : `Something went wrong: ${error.message}`);
  process.exitCode = error instanceof Refusal ? 2 : 1;
});
