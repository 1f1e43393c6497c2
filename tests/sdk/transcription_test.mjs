// The official Node SDK writes down what is said, whole and streamed.
import assert from 'node:assert/strict';
import {test} from 'node:test';
import OpenAI, {toFile} from 'openai';

const client = new OpenAI({baseURL: process.env.CALLIOPE_URL + '/v1', apiKey: 'not-needed', maxRetries: 0});
const model = 'calliope-nano';

async function speech() {
  const reply = await client.chat.completions.create({
    model, modalities: ['text', 'audio'], audio: {voice: 'alloy', format: 'wav'},
    messages: [{role: 'user', content: 'What is the capital of France?'}],
  });
  return toFile(Buffer.from(reply.choices[0].message.audio.data, 'base64'), 'question.wav');
}

test('a transcript, whole and streamed', async () => {
  const whole = await client.audio.transcriptions.create({model, file: await speech(), language: 'en'});
  assert.equal(typeof whole.text, 'string');
  assert.equal(whole.usage.type, 'tokens');
  let text = '', done;
  for await (const event of await client.audio.transcriptions.create({model, file: await speech(), stream: true})) {
    if (event.type === 'transcript.text.delta') text += event.delta;
    if (event.type === 'transcript.text.done') done = event;
  }
  assert.equal(text, whole.text);
  assert.equal(done.text, whole.text);
});

test('subtitles are text', async () => {
  const vtt = await client.audio.transcriptions.create({model, file: await speech(), response_format: 'vtt'});
  assert.match(vtt, /^WEBVTT\n/);
});

test('what is no sound is an error that names the field', async () => {
  const file = await toFile(Buffer.from('no sound at all'), 'question.wav');
  await assert.rejects(client.audio.transcriptions.create({model, file}), (error) => error.status === 400 && error.param === 'file');
});
