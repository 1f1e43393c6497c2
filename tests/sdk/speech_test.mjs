// The official Node SDK asks a running server to read text aloud.
import assert from "node:assert/strict";
import { test } from "node:test";
import OpenAI from "openai";

const client = new OpenAI({ baseURL: process.env.CALLIOPE_URL + "/v1", apiKey: "not-needed", maxRetries: 0 });
const asked = { model: "calliope-nano", voice: "default", input: "The capital of France is Paris." };

test("a whole sound, and the same in pieces", async () => {
  const whole = Buffer.from(await (await client.audio.speech.create({ ...asked, response_format: "pcm" })).arrayBuffer());
  assert.ok(whole.length > 24000 * 2);
  const response = await client.audio.speech.create({ ...asked, response_format: "pcm" });
  const pieces = [];
  for await (const piece of response.body) pieces.push(Buffer.from(piece));
  assert.ok(Buffer.concat(pieces).equals(whole));
});

test("mp3 is what comes unless it is asked for another", async () => {
  const response = await client.audio.speech.create(asked);
  assert.equal(response.headers.get("content-type"), "audio/mpeg");
  assert.ok((await response.arrayBuffer()).byteLength > 4000);
});

test("an unknown voice is refused", async () => {
  await assert.rejects(client.audio.speech.create({ ...asked, voice: "nobody" }), (error) => error.status === 400 && /no voice/.test(error.message));
});
