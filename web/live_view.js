// The hands-free panel: what is going on, in one look, and the buttons to interrupt, mute, show something and hang up.
// @ts-check

import {LiveCall} from './live.js';

const WORDS = {
  connecting: ['Connecting', 'One moment.'],
  listening: ['Listening', 'Just speak.'],
  hearing: ['Hearing you', 'Take your time.'],
  thinking: ['Thinking', ''],
  speaking: ['Speaking', 'Speak up to interrupt.'],
  muted: ['Muted', 'You are not heard.'],
};
const BARS = 5;

/** @param {string} id */
const element = (id) => /** @type {HTMLElement} */ (document.getElementById(id));

/**
 * `goOn`: what follows is the rest of what was heard.
 * @typedef {{setText: (text: string, whole: boolean) => void, cut: (heard: string) => void, goOn: () => LiveAnswer}} LiveAnswer
 */
/**
 * What the page does with a conversation.
 * @typedef {{
 *   question: (text: string) => {setText: (text: string) => void},
 *   answer: () => LiveAnswer,
 *   complain: (message: string) => void,
 *   ended: () => void,
 * }} LivePage
 */

export class LiveView {
  /** @param {LivePage} page */
  constructor(page) {
    /** @private */ this.page = page;
    /** @private @type {Map<string, ReturnType<LivePage['question']>>} */ this.questions = new Map();
    /** @private @type {Map<string, LiveAnswer>} */ this.answers = new Map();
    /** @private */ this.bars = [...element('live-orb').children];
    /** @private */ this.smooth = 0;
    /** @type {LiveCall} */
    this.call = new LiveCall({
      state: () => this.show(),
      heard: (item, text) => {
        if (!this.questions.has(item)) this.questions.set(item, this.page.question(''));
        if (text) this.questions.get(item)?.setText(text);
      },
      said: (item, text, whole, goesOn) => {
        if (!this.answers.has(item)) this.answers.set(item, this.answers.get(goesOn)?.goOn() ?? this.page.answer());
        this.answers.get(item)?.setText(text, whole);
      },
      cut: (item, text) => this.answers.get(item)?.cut(text),
      trouble: (message) => this.page.complain(message),
      ended: (message) => {
        if (message) this.page.complain(message);
        this.close();
      },
    });
    /** @private @type {[string, () => void][]} */
    this.buttons = [
      ['live-stop', () => this.call.stopSpeaking()],
      ['live-mute', () => {
        this.call.muted = !this.call.muted;
        this.show();
      }],
      ['live-end', () => this.call.end()],
    ];
    for (const [id, action] of this.buttons) element(id).onclick = action;
  }

  /** @param {Parameters<LiveCall['start']>[0]} options */
  async start(options) {
    element('live').hidden = false;
    element('composer').hidden = true;
    this.show();
    this.draw();
    try {
      await this.call.start(options);
    } catch (error) {
      this.close();
      throw error;
    }
    element('live-end').focus();
  }

  /** @private */
  close() {
    element('live').hidden = true;
    element('composer').hidden = false;
    this.page.ended();
  }

  /** @private */
  show() {
    const {state, muted} = this.call;
    if (state === 'ended') return;
    const [title, hint] = WORDS[muted && state === 'listening' ? 'muted' : state];
    element('live').dataset.state = state;
    element('live-state').textContent = title;
    element('live-hint').textContent = hint;
    element('live-mute').setAttribute('aria-pressed', String(muted));
    element('live-mute').title = muted ? 'Let it hear you again' : 'Mute the microphone';
    const stop = /** @type {HTMLButtonElement} */ (element('live-stop'));
    stop.disabled = state !== 'speaking' && state !== 'thinking';
  }

  /** The bars dance to whoever is heard. @private */
  draw() {
    const {state} = this.call;
    if (state === 'ended') return;
    const level = state === 'speaking' ? this.call.player.level : this.call.microphoneLevel;
    this.smooth = Math.max(level, this.smooth * 0.86);
    const now = performance.now() / 1000;
    this.bars.forEach((bar, i) => {
      const middle = 1 - Math.abs(i - (BARS - 1) / 2) / BARS;
      let height = 0.14 + 0.86 * Math.min(1, this.smooth * 1.6) * middle * (0.75 + 0.25 * Math.sin(now * 9 + i * 1.7));
      if (state === 'thinking' || state === 'connecting') height = 0.2 + 0.25 * (0.5 + 0.5 * Math.sin(now * 5 - i * 0.8));
      /** @type {HTMLElement} */ (bar).style.setProperty('transform', `scaleY(${height.toFixed(3)})`);
    });
    requestAnimationFrame(() => this.draw());
  }
}
