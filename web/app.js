// The page: a conversation, a composer, and the sound of the answers.
// @ts-check

import {attachmentOf, soundAttachment} from './attachments.js';
import {ask, ChatError, models} from './chat.js';
import {LiveView} from './live_view.js';
import {Player, unlock} from './player.js';
import {LONGEST_S, Recorder} from './recorder.js';

/** @typedef {import('./attachments.js').Attachment} Attachment */
/** @typedef {{text: string, attachments: Attachment[], answer: string}} Turn */

/** @template {HTMLElement} T @param {string} id @returns {T} */
const element = (id) => /** @type {T} */ (document.getElementById(id));
const log = element('log');
const main = element('main');
const composer = /** @type {HTMLFormElement} */ (element('composer'));
const textBox = /** @type {HTMLTextAreaElement} */ (element('text'));
const sendButton = /** @type {HTMLButtonElement} */ (element('send'));
const recordButton = element('record');
const voiceSwitch = element('voice');
const fileInput = /** @type {HTMLInputElement} */ (element('file'));

/** @type {Turn[]} */
let turns = [];
/** @type {Attachment[]} */
let pending = [];
/** @type {AbortController | null} */
let going = null;
/** @type {Player | null} */
let speaking = null;
let key = sessionStorage.getItem('calliope-key') ?? '';
let speak = localStorage.getItem('calliope-voice') !== 'off';

// --- building blocks -------------------------------------------------------------------------------------------------

/** @param {string} tag @param {string} [className] @param {string} [text] */
function make(tag, className = '', text = '') {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text) node.textContent = text;
  return node;
}

/** @param {string} path @param {string} label @param {() => void} action @param {string} [text] */
function iconButton(path, label, action, text = '') {
  const button = /** @type {HTMLButtonElement} */ (make('button'));
  button.type = 'button';
  button.title = label;
  button.setAttribute('aria-label', label);
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  svg.setAttribute('viewBox', '0 0 24 24');
  const shape = document.createElementNS('http://www.w3.org/2000/svg', 'path');
  shape.setAttribute('d', path);
  svg.append(shape);
  button.append(svg, text);
  button.addEventListener('click', action);
  return button;
}
const CROSS = 'M6 6l12 12M18 6L6 18';
const PLAY = 'M8 5.5v13l10.5-6.5z';
const STOP = 'M7.5 7.5h9v9h-9z';
const COPY = 'M9 9h10v10H9zM5 15V5h10';

/** @param {Attachment} attachment */
function preview(attachment) {
  if (attachment.kind === 'image') {
    const image = /** @type {HTMLImageElement} */ (make('img'));
    image.src = attachment.url;
    image.alt = attachment.name;
    image.addEventListener('error', () => image.replaceWith(make('span', 'words', attachment.name)));
    image.addEventListener('load', follow);
    return image;
  }
  const audio = /** @type {HTMLAudioElement} */ (make('audio'));
  audio.controls = true;
  audio.src = attachment.url;
  audio.setAttribute('aria-label', attachment.name);
  return audio;
}

/** Keeps the newest words in sight, unless the person scrolled up. */
let following = true;
main.addEventListener('scroll', () => {
  following = main.scrollHeight - main.scrollTop - main.clientHeight < 80;
});
function follow() {
  if (following) main.scrollTop = main.scrollHeight;
}

// --- the conversation ------------------------------------------------------------------------------------------------

/** @param {Turn} turn */
function messageOf(turn) {
  const parts = turn.attachments.map((attachment) => attachment.part);
  if (turn.text) parts.push({type: 'text', text: turn.text});
  return {role: 'user', content: turn.attachments.length ? parts : turn.text};
}

/** What the server needs to answer the last of these turns. Turns that got no answer are left out: what the server
 * refused once, a broken photo say, it would refuse for ever. @param {Turn[]} all */
function messagesOf(all) {
  const messages = [];
  for (const turn of all) {
    if (!turn.answer && turn !== all.at(-1)) continue;
    messages.push(messageOf(turn));
    if (turn.answer) messages.push({role: 'assistant', content: turn.answer});
  }
  return messages;
}

/** @param {Turn} turn */
function showQuestion(turn) {
  const box = make('article', 'turn mine');
  box.setAttribute('aria-label', 'You');
  box.append(...turn.attachments.map(preview));
  if (turn.text) box.append(make('div', 'words', turn.text));
  log.append(box);
}

/** Asks for an answer to the last turn and shows it as it comes. @param {Turn} turn */
async function answer(turn) {
  const box = make('article', 'turn theirs');
  box.setAttribute('aria-label', 'Calliope');
  const words = make('div', 'words waiting');
  const tools = make('div', 'tools');
  box.append(words, tools);
  log.append(box);
  following = true;
  follow();

  speaking?.stop();
  const player = speak ? new Player(() => showTools()) : null;
  speaking = player;
  const control = new AbortController();
  going = control;
  showBusy();
  let finish = '';

  const showTools = () => {
    tools.replaceChildren();
    if (player?.playing) {
      const wave = make('span', 'wave');
      wave.append(make('i'), make('i'), make('i'), make('i'));
      tools.append(iconButton(STOP, 'Stop speaking (Esc)', () => player.stop()), wave);
    } else if (player && player.seconds > 0 && going !== control) {
      tools.append(iconButton(PLAY, 'Hear it again', () => {
        speaking?.stop();
        speaking = player;
        player.replay();
      }));
    }
    if (going !== control && turn.answer) {
      tools.append(iconButton(COPY, 'Copy', () => navigator.clipboard?.writeText(turn.answer)));
    }
    if (finish === 'length') tools.append(make('span', '', 'cut at the longest length'));
    if (finish === 'stopped') tools.append(make('span', '', 'stopped'));
    showBusy();
  };

  let failure = null;
  try {
    for await (const piece of ask({messages: messagesOf(turns), speak, key, signal: control.signal})) {
      if (piece.text) {
        turn.answer += piece.text;
        words.textContent = turn.answer;
        words.className = 'words going';
      }
      if (piece.audio && !control.signal.aborted) player?.push(piece.audio);
      if (piece.finish) finish = piece.finish;
      follow();
    }
  } catch (error) {
    failure = error instanceof ChatError ? error : new ChatError(String(error));
  }
  words.className = 'words';
  if (control.signal.aborted) finish = 'stopped';
  if (going === control) going = null;
  player?.end();
  if (turns.includes(turn)) {
    if (failure) await showFailure(box, words, turn, failure);
    else if (!turn.answer && finish !== 'stopped') words.textContent = '…';
  }
  showTools();
  follow();
}

/** @param {HTMLElement} box @param {HTMLElement} words @param {Turn} turn @param {ChatError} failure */
async function showFailure(box, words, turn, failure) {
  if (!turn.answer) words.remove();
  const again = () => {
    box.remove();
    turn.answer = '';
    turns = [...turns.filter((other) => other !== turn), turn];
    answer(turn);
  };
  if (failure.status === 401 && await askForKey()) return again();
  const note = make('div', 'wrong');
  note.setAttribute('role', 'alert');
  note.append(make('span', '', failure.message));
  const button = /** @type {HTMLButtonElement} */ (make('button', '', 'Try again'));
  button.type = 'button';
  button.addEventListener('click', again);
  note.append(button);
  box.append(note);
}

/** @param {string} text a problem that belongs to no turn */
function complain(text) {
  const note = make('div', 'wrong');
  note.setAttribute('role', 'alert');
  note.append(make('span', '', text));
  const button = iconButton(CROSS, 'Dismiss', () => note.remove());
  note.append(button);
  composer.before(note);
  note.classList.add('aside');
  setTimeout(() => note.remove(), 12_000);
}

/** @returns {Promise<boolean>} whether there is a key now */
function askForKey() {
  const dialog = /** @type {HTMLDialogElement} */ (element('key'));
  const input = /** @type {HTMLInputElement} */ (element('key-text'));
  input.value = '';
  dialog.returnValue = '';
  dialog.showModal();
  return new Promise((resolve) => {
    const cancel = () => dialog.close('cancel');
    element('key-cancel').addEventListener('click', cancel, {once: true});
    dialog.addEventListener('close', () => {
      const entered = dialog.returnValue !== 'cancel' && input.value.trim();
      if (entered) {
        key = input.value.trim();
        sessionStorage.setItem('calliope-key', key);
        showModel();
      }
      resolve(Boolean(entered));
    }, {once: true});
  });
}

function send() {
  const text = textBox.value.trim();
  if (going || (!text && !pending.length)) return;
  unlock();
  const turn = {text, attachments: pending, answer: ''};
  turns.push(turn);
  textBox.value = '';
  pending = [];
  element('welcome').hidden = true;
  showAttachments();
  grow();
  showQuestion(turn);
  answer(turn);
}

function stopEverything() {
  going?.abort();
  speaking?.stop();
}

// --- hands-free ------------------------------------------------------------------------------------------------------

/** @type {LiveView | null} */
let live = null;

/** A turn of the conversation by voice. @param {string} kind mine or theirs @param {string} label */
function liveTurn(kind, label) {
  const box = make('article', `turn ${kind}`);
  box.setAttribute('aria-label', label);
  const words = make('div', 'words');
  box.append(words);
  log.append(box);
  following = true;
  follow();
  return words;
}

/** What was said and answered becomes part of the conversation, so that it can go on in writing. */
const livePage = {
  question() {
    const turn = {text: '', attachments: [], answer: ''};
    turns.push(turn);
    const words = liveTurn('mine', 'You');
    words.classList.add('spoken');
    return {
      setText(/** @type {string} */ text) {
        turn.text = text;
        words.classList.remove('spoken');
        words.textContent = text;
        follow();
      },
    };
  },
  answer() {
    const turn = turns.at(-1);
    const words = liveTurn('theirs', 'Calliope');
    let before = '', heard = '', text = '';
    return {
      setText(/** @type {string} */ more, /** @type {boolean} */ whole) {
        text = before + more;
        heard = text;
        if (turn) turn.answer = text;
        words.textContent = text;
        words.classList.toggle('going', !whole);
        follow();
      },
      /** Keeps what was heard; the rest stays readable, but pale. */
      cut(/** @type {string} */ part) {
        heard = before + part;
        if (turn) turn.answer = heard;
        words.classList.remove('going');
        words.replaceChildren(heard, make('span', 'unheard', text.startsWith(heard) ? text.slice(heard.length) : ''));
      },
      goOn() {
        before = heard;
        return this;
      },
    };
  },
  complain,
  ended() {
    live = null;
    showBusy();
    textBox.focus();
  },
};

async function startLive() {
  if (live) return;
  unlock();
  stopEverything();
  if (!key) await showModel();  // asks for a key when the server wants one
  const mine = new LiveView(livePage);
  live = mine;
  element('welcome').hidden = true;
  const history = turns.flatMap((turn) => [
    ...(turn.text ? [{role: /** @type {const} */ ('user'), text: turn.text}] : []),
    ...(turn.answer ? [{role: /** @type {const} */ ('assistant'), text: turn.answer}] : []),
  ]);
  try {
    await mine.start({key, history});
  } catch (error) {
    complain(error instanceof Error ? error.message : String(error));
    if (!turns.length) element('welcome').hidden = false;
  }
}

function startOver() {
  live?.call.end();
  stopEverything();
  for (const turn of turns) turn.attachments.forEach((attachment) => URL.revokeObjectURL(attachment.url));
  turns = [];
  log.replaceChildren();
  element('welcome').hidden = false;
  textBox.focus();
}

// --- the composer ----------------------------------------------------------------------------------------------------

function showBusy() {
  const busy = Boolean(going) || Boolean(speaking?.playing);
  const something = Boolean(textBox.value.trim() || pending.length || recorder);
  element('talk').hidden = busy || something;
  sendButton.hidden = !busy && !something;
  const halt = busy && !(something && !going);
  sendButton.classList.toggle('busy', halt);
  sendButton.disabled = !halt && !something;
  sendButton.title = halt ? 'Stop (Esc)' : 'Send (Enter)';
  sendButton.setAttribute('aria-label', halt ? 'Stop' : 'Send');
}

function grow() {
  textBox.style.height = 'auto';
  textBox.style.height = `${textBox.scrollHeight}px`;
  showBusy();
}

function showAttachments() {
  element('attachments').replaceChildren(...pending.map((attachment) => {
    const box = make('div', 'attachment');
    box.append(preview(attachment), iconButton(CROSS, `Remove ${attachment.name}`, () => {
      pending = pending.filter((other) => other !== attachment);
      showAttachments();
      textBox.focus();
    }));
    return box;
  }));
  showBusy();
}

/** @param {Attachment} attachment to the conversation by voice: shown at once, asked about aloud */
function showLive(attachment) {
  if (attachment.kind !== 'image') return complain('Photos can be shown here; to send a sound, end the conversation first.');
  const turn = {text: '', attachments: [attachment], answer: ''};
  turns.push(turn);
  showQuestion(turn);
  following = true;
  follow();
  live?.call.showPicture(/** @type {any} */ (attachment.part).image_url.url);
}

/** @param {Iterable<File>} files */
async function attach(files) {
  for (const file of files) {
    try {
      const attachment = await attachmentOf(file);
      if (live) {
        showLive(attachment);
        continue;
      }
      pending.push(attachment);
      showAttachments();
    } catch (error) {
      complain(error instanceof Error ? error.message : String(error));
    }
  }
  textBox.focus();
}

/** @type {Recorder | null} */
let recorder = null;
/** @type {number[]} */
let levels = [];

function showRecording() {
  element('recording').hidden = !recorder;
  recordButton.setAttribute('aria-pressed', String(Boolean(recorder)));
  recordButton.title = recorder ? 'Done: send it (Alt+R)' : 'Talk (Alt+R)';
  showBusy();
}

function drawLevels() {
  const canvas = /** @type {HTMLCanvasElement} */ (element('level'));
  const drawing = /** @type {CanvasRenderingContext2D} */ (canvas.getContext('2d'));
  drawing.clearRect(0, 0, canvas.width, canvas.height);
  drawing.fillStyle = getComputedStyle(canvas).color;
  const bars = 80, step = canvas.width / bars;
  for (let i = 0; i < bars; ++i) {
    const level = levels[levels.length - bars + i] ?? 0;
    const height = Math.max(3, level * canvas.height);
    drawing.beginPath();
    drawing.roundRect(i * step, (canvas.height - height) / 2, step * 0.55, height, 2);
    drawing.fill();
  }
  const seconds = Math.floor(recorder?.seconds ?? 0);
  element('clock').textContent = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
}

async function startRecording() {
  unlock();
  stopEverything();
  const mine = new Recorder((level) => {
    levels.push(level);
    drawLevels();
    if (mine.seconds >= LONGEST_S) finishRecording();
  });
  levels = [];
  recorder = mine;
  showRecording();
  try {
    await mine.start();
    if (recorder !== mine) mine.close();
  } catch (error) {
    if (recorder === mine) recorder = null;
    complain(error instanceof Error ? error.message : String(error));
  }
  showRecording();
}

/** Ends the recording and sends what was said. */
async function finishRecording() {
  const mine = recorder;
  if (!mine) return;
  recorder = null;
  showRecording();
  const file = await mine.stop();
  if (!file) return complain('Nothing was recorded. Speak, then press the microphone again.');
  pending.push(await soundAttachment(file, 'wav', 'What you said'));
  showAttachments();
  send();
}

function discardRecording() {
  recorder?.close();
  recorder = null;
  showRecording();
  textBox.focus();
}

// --- what the person does --------------------------------------------------------------------------------------------

composer.addEventListener('submit', (event) => {
  event.preventDefault();
  if (sendButton.classList.contains('busy')) return stopEverything();
  if (recorder) return void finishRecording();
  send();
});
textBox.addEventListener('input', grow);
textBox.addEventListener('keydown', (event) => {
  if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    if (recorder) finishRecording();
    else send();
  }
});
document.addEventListener('keydown', (event) => {
  if (event.key === 'Escape' && !document.querySelector('dialog[open]')) {
    if (live) live.call.stopSpeaking();
    else if (recorder) discardRecording();
    else stopEverything();
  }
  if (event.altKey && event.code === 'KeyL') {
    event.preventDefault();
    if (live) live.call.end();
    else startLive();
  }
  if (event.altKey && event.code === 'KeyR' && !live) {
    event.preventDefault();
    recordButton.click();
  }
  const typing = event.target instanceof HTMLTextAreaElement || event.target instanceof HTMLInputElement;
  if (event.key === '/' && !typing) {
    event.preventDefault();
    textBox.focus();
  }
});
recordButton.addEventListener('click', () => {
  if (recorder) finishRecording();
  else startRecording();
});
element('discard').addEventListener('click', discardRecording);
element('fresh').addEventListener('click', startOver);
element('talk').addEventListener('click', startLive);
element('live-photo').addEventListener('click', () => fileInput.click());
element('attach').addEventListener('click', () => fileInput.click());
fileInput.addEventListener('change', () => {
  attach(fileInput.files ?? []).then(() => (fileInput.value = ''));
});
textBox.addEventListener('paste', (event) => {
  const files = [...(event.clipboardData?.files ?? [])];
  if (!files.length) return;
  event.preventDefault();
  attach(files);
});
let drags = 0;
const dragging = (/** @type {number} */ change) => {
  drags = Math.max(0, drags + change);
  element('drop').hidden = drags === 0;
};
document.addEventListener('dragenter', (event) => event.dataTransfer?.types.includes('Files') && dragging(1));
document.addEventListener('dragleave', (event) => event.dataTransfer?.types.includes('Files') && dragging(-1));
document.addEventListener('dragover', (event) => event.preventDefault());
document.addEventListener('drop', (event) => {
  event.preventDefault();
  dragging(-drags);
  attach(event.dataTransfer?.files ?? []);
});
document.querySelectorAll('.suggestions button').forEach((button) => {
  const {say, do: action} = /** @type {HTMLElement} */ (button).dataset;
  button.addEventListener('click', () => {
    if (action === 'live') return void startLive();
    if (say) {
      textBox.value = say;
      return send();
    }
    textBox.value = button.textContent ?? '';
    grow();
    fileInput.click();
  });
});
const showVoice = () => voiceSwitch.setAttribute('aria-checked', String(speak));
voiceSwitch.addEventListener('click', () => {
  speak = !speak;
  localStorage.setItem('calliope-voice', speak ? 'on' : 'off');
  if (!speak) speaking?.stop();
  showVoice();
});

async function showModel() {
  try {
    const [first] = await models(key);
    element('model').textContent = first ?? '';
    element('model').hidden = !first;
  } catch (error) {
    if (error instanceof ChatError && error.status === 401 && !document.querySelector('dialog[open]')) await askForKey();
  }
}

showVoice();
showModel();
grow();
textBox.focus();
