// The official Node SDK holds realtime conversations: text and voice in, voice out, a forced tool call, interruption,
// truncation. It always speaks wss://, so a little TLS proxy stands before the server, as HAProxy would.
import assert from "node:assert";
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import tls from "node:tls";
import OpenAI from "openai";
import { OpenAIRealtimeWS } from "openai/realtime/ws";

const url = new URL(process.env.CALLIOPE_URL);
const model = "calliope-nano";
const speaker = new OpenAI({ baseURL: `${url.origin}/v1`, apiKey: "not-needed", maxRetries: 0 });
let client, proxy;

before(async () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "calliope-tls-"));
  const [key, cert] = ["key.pem", "cert.pem"].map((name) => path.join(folder, name));
  execFileSync("openssl", ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost",
                           "-keyout", key, "-out", cert], { stdio: "ignore" });
  proxy = tls.createServer({ key: fs.readFileSync(key), cert: fs.readFileSync(cert) }, (secure) => {
    const plain = net.connect(url.port, url.hostname);
    secure.pipe(plain).pipe(secure);
    secure.on("error", () => plain.destroy());
    plain.on("error", () => secure.destroy());
  });
  await new Promise((done) => proxy.listen(0, "127.0.0.1", done));
  fs.rmSync(folder, { recursive: true });
  client = new OpenAI({ baseURL: `https://127.0.0.1:${proxy.address().port}/v1`, apiKey: "not-needed" });
});
after(() => proxy.close());

/** A session that keeps its events, and waits for the next one of a type. */
async function connect(session) {
  const socket = new OpenAIRealtimeWS({ model, options: { rejectUnauthorized: false } }, client);
  const events = [];
  const waiting = [];
  let read = 0;
  const look = () => {
    while (waiting.length > 0 && read < events.length) {
      const event = events[read++];
      if (event.type === waiting[0].type) waiting.shift().resolve(event);
    }
  };
  socket.on("error", () => {});  // the tests look at the events
  socket.on("event", (event) => { events.push(event); look(); });
  const until = (type) => new Promise((resolve) => { waiting.push({ type, resolve }); look(); });
  const all = (type) => events.filter((event) => event.type === type);
  await until("session.created");
  socket.send({ type: "session.update", session: { type: "realtime", ...session } });
  await until("session.updated");
  return {
    send: (event) => socket.send(event), until, all, close: () => socket.close(),
    say: (text) => socket.send({ type: "conversation.item.create", item: { type: "message", role: "user", content: [{ type: "input_text", text }] } }),
    hear: (samples) => socket.send({ type: "input_audio_buffer.append", audio: samples.toString("base64") }),
    sound: () => Buffer.concat(all("response.output_audio.delta").map((event) => Buffer.from(event.delta, "base64"))),
  };
}
const manual = { audio: { input: { turn_detection: null } } };
const silence = (ms) => Buffer.alloc(48 * ms);
/** What the model says to a text: somebody's voice to talk to it with. */
async function spoken(text) {
  const reply = await speaker.chat.completions.create({
    model, modalities: ["text", "audio"], audio: { voice: "default", format: "wav" }, messages: [{ role: "user", content: text }] });
  return Buffer.from(reply.choices[0].message.audio.data, "base64").subarray(44);
}

test("text in, voice out; truncation", async () => {
  const talk = await connect(manual);
  talk.say("What is the capital of France?");
  talk.send({ type: "response.create" });
  const { response } = await talk.until("response.done");
  assert.equal(response.status, "completed");
  const item = response.output[0];
  assert.match(item.content[0].transcript, /Paris/);
  const ms = Math.floor(talk.sound().length / 48);
  assert.ok(ms > 500, `${ms} ms of sound`);
  talk.send({ type: "conversation.item.truncate", item_id: item.id, content_index: 0, audio_end_ms: Math.floor(ms / 2) });
  await talk.until("conversation.item.truncated");
  talk.send({ type: "conversation.item.retrieve", item_id: item.id });
  const kept = (await talk.until("conversation.item.retrieved")).item.content[0].transcript;
  assert.ok(item.content[0].transcript.startsWith(kept) && kept.length < item.content[0].transcript.length, kept);
  talk.send({ type: "conversation.item.truncate", item_id: item.id, content_index: 0, audio_end_ms: ms + 100 });
  assert.equal((await talk.until("error")).error.param, "audio_end_ms");
  talk.close();
});

test("voice in, voice out", async () => {
  const voice = await spoken("What is the capital of France?");
  const talk = await connect({ audio: { input: { turn_detection: { type: "server_vad" } } } });
  talk.hear(Buffer.concat([silence(500), voice, silence(1000)]));
  const started = await talk.until("input_audio_buffer.speech_started");
  assert.equal((await talk.until("input_audio_buffer.committed")).item_id, started.item_id);
  assert.equal((await talk.until("response.done")).response.status, "completed");
  assert.ok(talk.sound().length > 10000);
  talk.close();
});

test("a forced tool call", async () => {
  const tools = [{ type: "function", name: "look_up", description: "Looks something up.",
                   parameters: { type: "object", properties: { deep: { type: "boolean" } }, required: ["deep"] } }];
  const talk = await connect({ ...manual, tools, tool_choice: "required", output_modalities: ["text"] });
  talk.say("What is the capital of France?");
  talk.send({ type: "response.create" });
  const called = await talk.until("response.function_call_arguments.done");
  assert.equal(typeof JSON.parse(called.arguments).deep, "boolean");
  await talk.until("response.done");
  talk.send({ type: "conversation.item.create", item: { type: "function_call_output", call_id: called.call_id, output: "Paris" } });
  talk.send({ type: "response.create", response: { tool_choice: "none" } });
  assert.equal((await talk.until("response.done")).response.output[0].type, "message");
  talk.close();
});

test("speech interrupts", async () => {
  const voice = await spoken("What is the capital of France?");
  const talk = await connect({ audio: { input: { turn_detection: { type: "server_vad" } } } });
  talk.hear(silence(600));
  talk.say("What is the capital of France?");
  talk.send({ type: "response.create" });
  const first = (await talk.until("response.created")).response.id;
  talk.hear(Buffer.concat([voice, silence(1000)]));
  const { response } = await talk.until("response.done");
  assert.deepEqual([response.id, response.status, response.status_details.reason], [first, "cancelled", "turn_detected"]);
  const before = talk.all("response.output_audio.delta").length;
  assert.notEqual((await talk.until("response.done")).response.id, first);
  assert.ok(talk.all("response.output_audio.delta").slice(before).every((event) => event.response_id !== first));
  talk.close();
});
