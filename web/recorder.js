// Records the microphone as a 16 kHz mono WAV, which every decoder reads.
// @ts-check

const OUT_RATE = 16000;
export const LONGEST_S = 300;
export const MICROPHONE = {channelCount: 1, echoCancellation: true, noiseSuppression: true, autoGainControl: true};

/** @param {unknown} error */
export function explain(error) {
  const name = error instanceof DOMException ? error.name : '';
  if (name === 'NotAllowedError') return 'The browser was not allowed to use the microphone. Allow it in the address bar and try again.';
  if (name === 'NotFoundError') return 'There is no microphone.';
  if (name === 'NotReadableError') return 'Another program is using the microphone.';
  return `The microphone could not be opened: ${error instanceof Error ? error.message : error}`;
}

export class Recorder {
  /** @param {(level: number) => void} onLevel called about 60 times a second with a loudness in [0, 1] */
  constructor(onLevel) {
    /** @private */ this.onLevel = onLevel;
    /** @private @type {Float32Array[]} */ this.pieces = [];
    /** @private @type {MediaStream | undefined} */ this.stream = undefined;
    /** @private @type {AudioContext | undefined} */ this.context = undefined;
  }

  /** Opens the microphone. Throws an Error whose message is for the person. */
  async start() {
    if (!navigator.mediaDevices?.getUserMedia) {
      throw new Error('Browsers give the microphone only to https pages and to localhost; open Calliope that way.');
    }
    try {
      this.stream = await navigator.mediaDevices.getUserMedia({audio: MICROPHONE});
      this.context = new AudioContext();
      await this.context.audioWorklet.addModule('/recorder_worklet.js');
      const source = this.context.createMediaStreamSource(this.stream);
      const node = new AudioWorkletNode(this.context, 'recorder', {numberOfOutputs: 0, channelCount: 1});
      node.port.onmessage = ({data}) => this.take(data);
      source.connect(node);
      await this.context.resume();
    } catch (error) {
      this.close();
      throw new Error(explain(error));
    }
  }

  /** @private @param {Float32Array} samples */
  take(samples) {
    this.pieces.push(samples);
    let sum = 0;
    for (const sample of samples) sum += sample * sample;
    this.onLevel(Math.min(1, Math.sqrt(sum / samples.length) * 5));
  }

  get seconds() {
    return this.context ? this.pieces.reduce((sum, piece) => sum + piece.length, 0) / this.context.sampleRate : 0;
  }

  /** Ends the recording. @returns {Promise<Blob | null>} a WAV file, or null when nothing was said */
  async stop() {
    const rate = this.context?.sampleRate ?? OUT_RATE;
    const length = this.pieces.reduce((sum, piece) => sum + piece.length, 0);
    this.close();
    if (length < rate * 0.15) return null;
    const buffer = new AudioBuffer({length, sampleRate: rate, numberOfChannels: 1});
    let at = 0;
    for (const piece of this.pieces) {
      buffer.copyToChannel(piece, 0, at);
      at += piece.length;
    }
    const offline = new OfflineAudioContext(1, Math.ceil(length * OUT_RATE / rate), OUT_RATE);
    const source = offline.createBufferSource();
    source.buffer = buffer;
    source.connect(offline.destination);
    source.start();
    return wav((await offline.startRendering()).getChannelData(0), OUT_RATE);
  }

  /** Ends it and keeps nothing. */
  close() {
    for (const track of this.stream?.getTracks() ?? []) track.stop();
    this.context?.close().catch(() => {});
    this.stream = undefined;
    this.context = undefined;
  }
}

/** A WAV file of 16-bit mono samples. @param {Float32Array} samples @param {number} rate */
export function wav(samples, rate) {
  const bytes = new DataView(new ArrayBuffer(44 + samples.length * 2));
  const text = (/** @type {number} */ at, /** @type {string} */ word) => [...word].forEach((c, i) => bytes.setUint8(at + i, c.charCodeAt(0)));
  text(0, 'RIFF');
  bytes.setUint32(4, 36 + samples.length * 2, true);
  text(8, 'WAVEfmt ');
  bytes.setUint32(16, 16, true);
  bytes.setUint16(20, 1, true);
  bytes.setUint16(22, 1, true);
  bytes.setUint32(24, rate, true);
  bytes.setUint32(28, rate * 2, true);
  bytes.setUint16(32, 2, true);
  bytes.setUint16(34, 16, true);
  text(36, 'data');
  bytes.setUint32(40, samples.length * 2, true);
  samples.forEach((sample, i) => bytes.setInt16(44 + 2 * i, Math.round(Math.max(-1, Math.min(1, sample)) * 32767), true));
  return new Blob([bytes], {type: 'audio/wav'});
}
