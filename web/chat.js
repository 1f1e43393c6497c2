// Talks to the server: OpenAI's chat completions over fetch, read as server-sent events.
// @ts-check

/** An error whose message is for the person, with the HTTP status when there was one. */
export class ChatError extends Error {
  /** @param {string} message @param {number} [status] @param {number} [retryAfter] seconds */
  constructor(message, status = 0, retryAfter = 0) {
    super(message);
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

const UNREACHABLE = 'Calliope cannot be reached. Is the server still running?';

/** @param {string} key */
const headersFor = (key) => (key ? {Authorization: `Bearer ${key}`} : {});

/** @param {Response} response */
async function errorOf(response) {
  let message = `The server answered ${response.status}.`;
  try {
    message = (await response.json()).error.message;
  } catch {
    // keep the plain words
  }
  return new ChatError(message, response.status, Number(response.headers.get('Retry-After')) || 0);
}

/** Names of the models served; the first is the server's own. @param {string} key @returns {Promise<string[]>} */
export async function models(key) {
  const response = await fetch('/v1/models', {headers: headersFor(key)});
  if (!response.ok) throw await errorOf(response);
  return (await response.json()).data.map((/** @type {{id: string}} */ model) => model.id);
}

/**
 * Splits a byte stream into the data of its server-sent events.
 * @param {ReadableStream<Uint8Array>} stream
 */
async function* eventsOf(stream) {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let waiting = '';
  try {
    while (true) {
      const {value, done} = await reader.read();
      if (done) return;
      waiting += value;
      const events = waiting.split('\n\n');
      waiting = events.pop() ?? '';
      for (const event of events) {
        const data = event.split('\n').filter((line) => line.startsWith('data: ')).map((line) => line.slice(6)).join('\n');
        if (data) yield data;
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

/**
 * Asks, and yields the answer as it comes: {text}, {audio} (base64 of 24 kHz mono pcm16) and {finish}.
 * @param {{messages: object[], speak: boolean, key: string, signal: AbortSignal}} request
 * @returns {AsyncGenerator<{text?: string, audio?: string, finish?: string}>}
 */
export async function* ask({messages, speak, key, signal}) {
  const body = {messages, stream: true};
  if (speak) Object.assign(body, {modalities: ['text', 'audio'], audio: {voice: 'default', format: 'pcm16'}});
  let response;
  try {
    response = await fetch('/v1/chat/completions', {
      method: 'POST',
      headers: {'Content-Type': 'application/json', ...headersFor(key)},
      body: JSON.stringify(body),
      signal,
    });
  } catch (error) {
    if (signal.aborted) return;
    throw new ChatError(UNREACHABLE);
  }
  if (!response.ok || !response.body) throw await errorOf(response);
  let complete = false;
  try {
    for await (const data of eventsOf(response.body)) {
      if (data === '[DONE]') {
        complete = true;  // the stream ends by itself, and leaves its connection for the next request
        continue;
      }
      const chunk = JSON.parse(data);
      if (chunk.error) throw new ChatError(chunk.error.message);
      const choice = chunk.choices?.[0];
      if (!choice) continue;
      const text = choice.delta.content ?? choice.delta.audio?.transcript;
      if (text) yield {text};
      if (choice.delta.audio?.data) yield {audio: choice.delta.audio.data};
      if (choice.finish_reason) yield {finish: choice.finish_reason};
    }
  } catch (error) {
    if (signal.aborted) return;
    throw error instanceof ChatError ? error : new ChatError('The connection broke before the answer was complete.');
  }
  if (!complete && !signal.aborted) throw new ChatError('The connection broke before the answer was complete.');
}
