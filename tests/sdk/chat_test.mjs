// The official Node SDK against a running server.
import assert from 'node:assert/strict';
import {test} from 'node:test';
import OpenAI from 'openai';

const client = new OpenAI({baseURL: process.env.CALLIOPE_URL + '/v1', apiKey: 'not-needed', maxRetries: 0});
const model = 'calliope-nano';
const messages = [{role: 'user', content: 'What is the capital of France?'}];

test('text, whole and streamed', async () => {
  const whole = await client.chat.completions.create({model, messages});
  assert.match(whole.choices[0].message.content, /Paris/);
  let text = '';
  for await (const chunk of await client.chat.completions.create({model, messages, stream: true})) {
    text += chunk.choices[0]?.delta?.content ?? '';
  }
  assert.equal(text, whole.choices[0].message.content);
});

test('voice', async () => {
  const reply = await client.chat.completions.create(
      {model, messages, modalities: ['text', 'audio'], audio: {voice: 'alloy', format: 'wav'}});
  const data = Buffer.from(reply.choices[0].message.audio.data, 'base64');
  assert.equal(data.toString('latin1', 0, 4), 'RIFF');
  assert.equal(data.readUInt32LE(24), 24000);
  assert.match(reply.choices[0].message.audio.transcript, /Paris/);
});

test('errors keep their type', async () => {
  await assert.rejects(client.chat.completions.create({model, messages: []}), (error) => {
    assert.equal(error.status, 400);
    assert.equal(error.type, 'invalid_request_error');
    assert.equal(error.param, 'messages');
    return true;
  });
});

test('a forced tool call, whole and streamed', async () => {
  const parameters = {
    type: 'object', required: ['city', 'unit'], additionalProperties: false,
    properties: {city: {type: 'string'}, unit: {enum: ['celsius', 'fahrenheit']}},
  };
  const request = {
    model, messages, max_tokens: 100, parallel_tool_calls: false,
    tools: [{type: 'function', function: {name: 'get_weather', parameters}}],
    tool_choice: {type: 'function', function: {name: 'get_weather'}},
  };
  const whole = await client.chat.completions.create(request);
  const [call] = whole.choices[0].message.tool_calls;
  assert.equal(whole.choices[0].finish_reason, 'tool_calls');
  assert.deepEqual(Object.keys(JSON.parse(call.function.arguments)).sort(), ['city', 'unit']);
  const streamed = await client.chat.completions.stream(request).finalChatCompletion();
  assert.equal(streamed.choices[0].message.tool_calls[0].function.arguments, call.function.arguments);
});
