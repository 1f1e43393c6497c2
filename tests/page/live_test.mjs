// Hands-free in a real browser: the microphone plays a file that asks, listens, and speaks up in the middle of the answer.
// Needs CALLIOPE_URL; shots go to SHOTS when it is set.
import assert from 'node:assert/strict';
import {mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {after, before, afterEach, test} from 'node:test';
import {chromium} from 'playwright-core';

const url = process.env.CALLIOPE_URL;
const RATE = 24000;
const folder = mkdtempSync(join(tmpdir(), 'calliope-live-'));
const flags = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync', '--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream',
  '--autoplay-policy=no-user-gesture-required',
];
const done = {timeout: 60_000};

/** 16-bit samples of what the model says when it is asked this. */
async function speech(question) {
  const response = await fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers: {'Content-Type': 'application/json'},
    body: JSON.stringify({messages: [{role: 'user', content: question}], modalities: ['text', 'audio'], audio: {voice: 'default', format: 'wav'}}),
  });
  const {message} = (await response.json()).choices[0];
  return Buffer.from(message.audio.data, 'base64').subarray(44);
}
/** 16-bit samples of this, read aloud. */
async function reading(input) {
  const response = await fetch(`${url}/v1/audio/speech`, {
    method: 'POST',
    headers: {'Content-Type': 'application/json'},
    body: JSON.stringify({model: 'calliope-nano', voice: 'default', input, response_format: 'pcm'}),
  });
  return Buffer.from(await response.arrayBuffer());
}
const silence = (seconds) => Buffer.alloc(Math.round(seconds * RATE) * 2);

const browsers = [];
afterEach(() => Promise.all(browsers.splice(0).map((browser) => browser.close())));  // a test that failed has left its own open

/** A WAV file for the microphone, and the browser that hears it from the moment the microphone is opened. */
async function browserHearing(name, ...parts) {
  const data = Buffer.concat(parts);
  const head = Buffer.alloc(44);
  head.write('RIFF', 0);
  head.writeUInt32LE(36 + data.length, 4);
  head.write('WAVEfmt ', 8);
  head.writeUInt32LE(16, 16);
  head.writeUInt16LE(1, 20);
  head.writeUInt16LE(1, 22);
  head.writeUInt32LE(RATE, 24);
  head.writeUInt32LE(RATE * 2, 28);
  head.writeUInt16LE(2, 32);
  head.writeUInt16LE(16, 34);
  head.write('data', 36);
  head.writeUInt32LE(data.length, 40);
  const path = join(folder, name);
  writeFileSync(path, Buffer.concat([head, data]));
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: [...flags, `--use-file-for-fake-audio-capture=${path}%noloop`],
  });
  browsers.push(browser);
  return browser;
}

/** Notes when pieces of sound are to begin and which are stopped. */
const listenIn = () => {
  window.sounds = [];
  const {start, stop} = AudioBufferSourceNode.prototype;
  AudioBufferSourceNode.prototype.start = function (when, ...rest) {
    this.note = {when, seconds: this.buffer.duration, now: this.context.currentTime, stopped: false};
    window.sounds.push(this.note);
    return start.call(this, when, ...rest);
  };
  AudioBufferSourceNode.prototype.stop = function (...rest) {
    if (this.note) Object.assign(this.note, {stopped: true, stoppedAt: this.context.currentTime});
    return stop.call(this, ...rest);
  };
};

async function open(browser, size = {width: 900, height: 640}, colorScheme = 'light') {
  const context = await browser.newContext({permissions: ['microphone'], viewport: size, colorScheme});
  const page = await context.newPage();
  const complaints = [], events = [];
  page.on('pageerror', (error) => complaints.push(error.message));
  page.on('console', (message) => {
    if (message.type() === 'error' && !message.text().includes('Failed to load resource')) complaints.push(message.text());
  });
  page.on('websocket', (socket) => {
    socket.on('framesent', ({payload}) => events.push({sent: true, ...JSON.parse(payload)}));
    socket.on('framereceived', ({payload}) => events.push({sent: false, ...JSON.parse(payload)}));
  });
  await page.addInitScript(listenIn);
  await page.goto(url);
  return {page, complaints, events};
}

const state = (page, name) => page.waitForSelector(`#live[data-state="${name}"]`, done);
async function shot(page, name) {
  if (process.env.SHOTS) await page.screenshot({path: join(process.env.SHOTS, `${name}.png`)});
}
async function until(condition, what) {
  for (let i = 0; i < 600; ++i) {
    const value = condition();
    if (value) return value;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.fail(`never: ${what}`);
}

let question;
before(async () => {
  question = await speech('What is the capital of France?');
});
after(() => rmSync(folder, {recursive: true}));

test('a spoken question is heard hands-free and answered aloud, without a gap', async () => {
  const browser = await browserHearing('one.wav', silence(2), question, silence(60));
  const {page, complaints, events} = await open(browser);
  await page.click('#talk');
  await state(page, 'listening');
  await shot(page, 'live-listening');
  await state(page, 'hearing');
  await shot(page, 'live-hearing');
  await state(page, 'speaking');
  await shot(page, 'live-speaking');
  await state(page, 'listening');
  assert.ok((await page.textContent('.mine:last-of-type .words, .mine .words')).length > 1, 'what was said is written down');
  const answer = await page.textContent('.theirs .words');
  assert.ok(answer.length > 1);
  const whole = events.filter((event) => event.type === 'response.output_audio_transcript.delta').map((event) => event.delta).join('');
  assert.equal(answer, whole);

  const received = events.filter((event) => event.type === 'response.output_audio.delta')
      .reduce((sum, event) => sum + Buffer.from(event.delta, 'base64').length / 2 / RATE, 0);
  const sounds = await page.evaluate(() => window.sounds);
  const played = sounds.reduce((sum, sound) => sum + sound.seconds, 0);
  assert.ok(Math.abs(played - received) < 0.001, `${played} s of ${received} s were played`);
  sounds.slice(1).forEach((sound, i) => {
    const gap = sound.when - sounds[i].when - sounds[i].seconds;
    assert.ok(Math.abs(gap) < 1e-6, `a gap of ${gap} s before piece ${i + 1}`);
    assert.ok(sound.when >= sound.now, `piece ${i + 1} came too late`);
  });

  await page.click('#live-end');
  await page.waitForSelector('#composer', {state: 'visible'});
  await page.fill('#text', 'Hello!');  // and it goes on in writing
  await page.press('#text', 'Enter');
  await page.waitForSelector('.theirs:last-child button[title="Copy"]', done);
  assert.deepEqual(complaints, []);
  await browser.close();
});

test('whoever speaks up is heard at once, and the answer keeps what was heard of it', async () => {
  const asked = await reading('What is your name?');  // which takes four seconds to say
  const browser = await browserHearing('two.wav', silence(2), asked, silence(1.6), question, silence(60));
  const {page, complaints, events} = await open(browser);
  await page.click('#talk');
  const started = await until(() => events.filter((event) => event.type === 'input_audio_buffer.speech_started')[1], 'the second time somebody speaks');
  const cut = await until(() => events.find((event) => event.type === 'conversation.item.truncate'), 'a truncation');
  assert.ok(events.indexOf(cut) > events.indexOf(started));
  await shot(page, 'live-interrupted');
  const before = events.slice(0, events.indexOf(cut)).filter((event) => event.type === 'response.output_audio.delta' && event.item_id === cut.item_id)
      .reduce((sum, event) => sum + Buffer.from(event.delta, 'base64').length / 2 * 1000 / RATE, 0);
  assert.ok(cut.audio_end_ms > 0 && cut.audio_end_ms <= before + 1, `${cut.audio_end_ms} ms of ${before} ms`);
  const kept = await until(() => events.find((event) => event.type === 'conversation.item.retrieved'), 'what was kept');
  const text = kept.item.content.at(-1).transcript ?? '';
  await until(() => events.filter((event) => event.type === 'response.done').length > 1, 'the second answer');
  await state(page, 'listening');
  const shown = await page.evaluate(() => [...document.querySelector('.theirs .words').childNodes].map((node) => node.textContent));
  assert.equal(shown[0], text);
  const stopped = await page.evaluate(() => window.sounds.filter((sound) => sound.stopped));
  assert.ok(stopped.length > 0, 'sound was stopped');
  assert.equal(events.filter((event) => event.type === 'error').length, 0);
  await shot(page, 'live-after');
  assert.deepEqual(complaints, []);
  await browser.close();
});

test('the stop button silences an answer, muting keeps the microphone to itself, on a phone', async () => {
  const browser = await browserHearing('three.wav', silence(2), question, silence(60));
  const {page, complaints, events} = await open(browser, {width: 390, height: 780}, 'dark');
  await page.click('[data-do="live"]');
  await state(page, 'speaking');
  await page.click('#live-stop');
  const cut = await until(() => events.find((event) => event.type === 'conversation.item.truncate'), 'a truncation');
  assert.ok(cut.audio_end_ms >= 0);
  await state(page, 'listening');
  await page.click('#live-mute');
  assert.equal(await page.textContent('#live-state'), 'Muted');
  await shot(page, 'live-phone');
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth > innerWidth), false, 'wider than a phone');
  const said = events.length;
  await until(() => events.slice(said).some((event) => event.sent && event.type === 'input_audio_buffer.append'), 'silence that is sent');
  const last = events.filter((event) => event.sent && event.type === 'input_audio_buffer.append').at(-1);
  assert.ok(Buffer.from(last.audio, 'base64').every((byte) => byte === 0));
  await page.keyboard.press('Alt+l');
  await page.waitForSelector('#composer', {state: 'visible'});
  assert.deepEqual(complaints, []);
  await browser.close();
});
