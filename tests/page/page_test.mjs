// The page in a real browser against a running server: type, show, talk, be refused, stop. Needs CALLIOPE_URL.
import assert from 'node:assert/strict';
import {after, before, beforeEach, test} from 'node:test';
import {deflateSync} from 'node:zlib';
import {chromium} from 'playwright-core';

const url = process.env.CALLIOPE_URL;
const flags = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync', '--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream',
];
const done = {timeout: 60_000};
let browser, page, complaints;

/** A one-coloured PNG. */
function png(width, height) {
  const chunk = (kind, data) => {
    const bytes = Buffer.alloc(12 + data.length);
    bytes.writeUInt32BE(data.length, 0);
    bytes.write(kind, 4, 'latin1');
    data.copy(bytes, 8);
    bytes.writeUInt32BE(checksum(bytes.subarray(4, 8 + data.length)), 8 + data.length);
    return bytes;
  };
  const head = Buffer.alloc(13);
  head.writeUInt32BE(width, 0);
  head.writeUInt32BE(height, 4);
  head.set([8, 2, 0, 0, 0], 8);
  const rows = Buffer.alloc((width * 3 + 1) * height, 120);
  for (let y = 0; y < height; ++y) rows[y * (width * 3 + 1)] = 0;
  return Buffer.concat([
    Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'), chunk('IHDR', head), chunk('IDAT', deflateSync(rows)), chunk('IEND', Buffer.alloc(0)),
  ]);
}

/** CRC-32 as PNG has it. */
function checksum(bytes) {
  let crc = ~0;
  for (const byte of bytes) {
    crc ^= byte;
    for (let i = 0; i < 8; ++i) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc >>> 0;
}

const ask = async (text) => {
  await page.fill('#text', text);
  await page.press('#text', 'Enter');
};
/** The last answer's words, once it is complete. */
const answer = async () => {
  await page.waitForSelector('.theirs:last-child button[title="Copy"]', done);
  return page.textContent('.theirs:last-child .words');
};

before(async () => {
  browser = await chromium.launch({executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: flags});
});
after(() => browser?.close());
beforeEach(async () => {
  const context = await browser.newContext({permissions: ['microphone'], viewport: {width: 390, height: 780}});
  page = await context.newPage();
  complaints = [];
  page.on('pageerror', (error) => complaints.push(error.message));
  page.on('console', (message) => {
    if (message.type() === 'error' && !message.text().includes('Failed to load resource')) complaints.push(message.text());
  });
  await page.goto(url);
});

const check = (name, run) => test(name, async () => {
  await run();
  const wide = await page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
  assert.equal(wide, false, 'the page is wider than a phone');
  assert.deepEqual(complaints, []);  // a violation of the content security policy is one of these
  await page.context().close();
});

check('a typed question is answered in text and voice, over two turns', async () => {
  await ask('What is the capital of France?');
  assert.ok((await answer()).length > 1);
  await page.waitForSelector('.theirs:last-child button[title="Hear it again"]', done);
  await ask('Hello!');
  assert.ok((await answer()).length > 1);
  assert.equal(await page.locator('.turn').count(), 4);
});

check('without voice the answer is text alone', async () => {
  await page.click('#voice');
  await ask('Hello!');
  assert.ok((await answer()).length > 1);
  assert.equal(await page.locator('button[title="Hear it again"]').count(), 0);
});

check('a photo is shown, made smaller and answered', async () => {
  const sent = page.waitForRequest((request) => request.method() === 'POST');
  await page.setInputFiles('#file', {name: 'photo.png', mimeType: 'image/png', buffer: png(3000, 1500)});
  await page.waitForSelector('.attachment img');
  await ask('What is in this photo?');
  const part = JSON.parse((await sent).postData()).messages[0].content[0];
  const size = await page.evaluate(async (source) => {
    const image = new Image();
    image.src = source;
    await image.decode();
    return [image.width, image.height];
  }, part.image_url.url);
  assert.deepEqual(size, [2048, 1024]);
  assert.ok((await answer()).length > 1);
});

check('what the microphone hears is sent as a 16 kHz WAV and answered', async () => {
  const sent = page.waitForRequest((request) => request.method() === 'POST');
  await page.click('#record');
  await page.waitForTimeout(1500);
  await page.click('#record');
  const {data, format} = JSON.parse((await sent).postData()).messages[0].content[0].input_audio;
  const bytes = Buffer.from(data, 'base64');
  assert.equal(format, 'wav');
  assert.equal(bytes.readUInt32LE(24), 16000);
  assert.ok(bytes.length > 16000 && bytes.length < 96000, `${bytes.length} bytes`);
  assert.ok((await answer()).length >= 1);
});

check('what is refused is told, and the conversation goes on', async () => {
  await page.setInputFiles('#file', {name: 'broken.png', mimeType: 'image/png', buffer: Buffer.from('not a picture')});
  await page.waitForSelector('.attachment');
  await ask('What is in this photo?');
  await page.waitForSelector('.wrong[role="alert"]', done);
  assert.match(await page.textContent('.wrong'), /image_url/);
  await ask('Hello!');
  assert.ok((await answer()).length > 1);
  await page.setInputFiles('#file', {name: 'notes.txt', mimeType: 'text/plain', buffer: Buffer.from('x')});
  assert.match(await page.textContent('.wrong.aside'), /notes.txt/);
});

check('Escape stops an answer, New forgets', async () => {
  await ask('Tell me everything you know.');
  await page.keyboard.press('Escape');
  await page.waitForSelector('#send:not(.busy)', {state: 'attached'});
  await page.click('#fresh');
  assert.equal(await page.locator('.turn').count(), 0);
  assert.ok(await page.isVisible('#welcome'));
});
