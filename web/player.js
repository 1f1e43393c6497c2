// Plays pcm16 pieces one right after the other while they arrive, and keeps them to be heard again.
// @ts-check

export const SAMPLE_RATE = 24000;
const FIRST_LEAD_S = 0.12;  // heard this long after the first piece came
const LATE_LEAD_S = 0.3;    // after running dry, wait for a little more before going on

/** @type {AudioContext | undefined} */
let context;

/** The page's one audio context. Browsers let it sound only after a click or a key. */
export function audioContext() {
  context ??= new AudioContext({sampleRate: SAMPLE_RATE});
  return context;
}

/** Call in a click or key handler, so that sound may start later. */
export function unlock() {
  audioContext().resume().catch(() => {});
}

/** @param {string} base64 */
export function samplesOf(base64) {
  const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
  const pcm = new DataView(bytes.buffer);
  const samples = new Float32Array(bytes.length >> 1);
  for (let i = 0; i < samples.length; ++i) samples[i] = pcm.getInt16(2 * i, true) / 32768;
  return samples;
}

/** One spoken answer. */
export class Player {
  /** @param {(playing: boolean) => void} onChange */
  constructor(onChange) {
    /** @private @type {Float32Array[]} */ this.pieces = [];
    /** @private @type {Set<AudioBufferSourceNode>} */ this.sources = new Set();
    /** @private */ this.next = 0;
    /** @private */ this.ended = false;
    /** @private */ this.onChange = onChange;
    this.playing = false;
    /** How often it ran dry. */
    this.gaps = 0;
  }

  get seconds() {
    return this.pieces.reduce((sum, piece) => sum + piece.length, 0) / SAMPLE_RATE;
  }

  /** More sound, to be heard at once. @param {string} base64 */
  push(base64) {
    const samples = samplesOf(base64);
    if (!samples.length) return;
    this.pieces.push(samples);
    this.schedule(samples);
  }

  /** No more will come. */
  end() {
    this.ended = true;
    this.check();
  }

  /** From the beginning again. */
  replay() {
    this.stop();
    this.next = 0;
    const whole = new Float32Array(this.pieces.reduce((sum, piece) => sum + piece.length, 0));
    let at = 0;
    for (const piece of this.pieces) {
      whole.set(piece, at);
      at += piece.length;
    }
    if (at) this.schedule(whole);
  }

  /** Silence now; what was received can still be replayed. */
  stop() {
    this.ended = true;
    for (const source of this.sources) {
      source.onended = null;
      source.stop();
    }
    this.sources.clear();
    this.check();
  }

  /** @private @param {Float32Array} samples */
  schedule(samples) {
    const audio = audioContext();
    const buffer = audio.createBuffer(1, samples.length, SAMPLE_RATE);
    buffer.copyToChannel(samples, 0);
    const source = audio.createBufferSource();
    source.buffer = buffer;
    source.connect(audio.destination);
    if (this.next < audio.currentTime + 0.005) {
      if (this.next > 0) ++this.gaps;
      this.next = audio.currentTime + (this.next > 0 ? LATE_LEAD_S : FIRST_LEAD_S);
    }
    source.start(this.next);
    this.next += samples.length / SAMPLE_RATE;
    this.sources.add(source);
    source.onended = () => {
      this.sources.delete(source);
      this.check();
    };
    this.check();
  }

  /** @private */
  check() {
    const playing = this.sources.size > 0 || (!this.ended && this.pieces.length > 0);
    if (playing === this.playing) return;
    this.playing = playing;
    this.onChange(playing);
  }
}
