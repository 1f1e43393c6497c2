// Plays an answer while it arrives, on the clock of the sound card, and knows to the millisecond what was heard of it.
// @ts-check

import {audioContext, SAMPLE_RATE, samplesOf} from './player.js';

const FIRST_LEAD_S = 0.04;  // heard this long after the first piece came
const LATE_LEAD_S = 0.25;   // after running dry, wait for a little more before going on

/** @typedef {{item: string, source: AudioBufferSourceNode, start: number, seconds: number}} Piece */

export class LivePlayer {
  /** @param {(playing: boolean) => void} onChange */
  constructor(onChange) {
    /** @private */ this.onChange = onChange;
    /** @private @type {Piece[]} */ this.pieces = [];
    /** @private */ this.next = 0;
    /** @private */ this.item = '';
    /** @private */ this.heardBefore = 0;  // seconds of the item whose pieces have ended
    /** @private */ this.muted = new Set();
    this.analyser = audioContext().createAnalyser();
    this.analyser.fftSize = 256;
    this.analyser.connect(audioContext().destination);
    this.playing = false;
    /** How often it ran dry in the middle of an item. */
    this.gaps = 0;
    /** When the last piece was to begin, in seconds of the audio clock, for tests. */
    this.startedAt = 0;
  }

  /** More sound of an item. @param {string} item @param {string} base64 */
  push(item, base64) {
    if (this.muted.has(item)) return;
    const samples = samplesOf(base64);
    if (!samples.length) return;
    const audio = audioContext();
    const another = item !== this.item;
    if (another) {
      this.item = item;
      this.heardBefore = 0;
    }
    if (this.next < audio.currentTime + 0.005) {
      if (!another) ++this.gaps;
      this.next = audio.currentTime + (another ? FIRST_LEAD_S : LATE_LEAD_S);
    }
    const buffer = audio.createBuffer(1, samples.length, SAMPLE_RATE);
    buffer.copyToChannel(samples, 0);
    const source = audio.createBufferSource();
    source.buffer = buffer;
    source.connect(this.analyser);
    source.start(this.next);
    this.startedAt = this.next;
    const piece = {item, source, start: this.next, seconds: samples.length / SAMPLE_RATE};
    this.next += piece.seconds;
    this.pieces.push(piece);
    source.onended = () => {
      this.pieces = this.pieces.filter((other) => other !== piece);
      if (piece.item === this.item) this.heardBefore += piece.seconds;
      this.check();
    };
    this.check();
  }

  /** Milliseconds of the item that have left the loudspeaker. */
  get heardMs() {
    const audio = audioContext();
    const now = audio.currentTime - (audio.outputLatency || 0);
    let seconds = this.heardBefore;
    for (const piece of this.pieces) {
      if (piece.item === this.item) seconds += Math.max(0, Math.min(piece.seconds, now - piece.start));
    }
    return Math.floor(seconds * 1000);
  }

  /**
   * Silence now. What still comes of this item is not played.
   * @returns {{item: string, heardMs: number} | null} what was being played and how much of it was heard
   */
  halt() {
    const was = this.playing ? {item: this.item, heardMs: this.heardMs} : null;
    if (this.item) this.muted.add(this.item);
    for (const piece of this.pieces) {
      piece.source.onended = null;
      piece.source.stop();
    }
    this.pieces = [];
    this.next = 0;
    this.item = '';
    this.check();
    return was;
  }

  /** How loud it is now, in [0, 1]. */
  get level() {
    const wave = new Uint8Array(this.analyser.fftSize);
    this.analyser.getByteTimeDomainData(wave);
    return wave.reduce((most, value) => Math.max(most, Math.abs(value - 128)), 0) / 128;
  }

  /** @private */
  check() {
    const playing = this.pieces.length > 0;
    if (playing === this.playing) return;
    this.playing = playing;
    this.onChange(playing);
  }
}
