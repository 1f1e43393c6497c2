// Turns what the microphone hears into 24 kHz, 16-bit pieces of 20 ms, whatever rate the device has.
const OUT_RATE = 24000;
const PIECE = OUT_RATE / 50;
const HALF_TAPS = 16;

class LiveMicrophone extends AudioWorkletProcessor {
  constructor() {
    super();
    this.step = sampleRate / OUT_RATE;
    this.cutoff = Math.min(1, OUT_RATE / sampleRate) * 0.94;  // of the input's half rate
    this.reach = Math.ceil(HALF_TAPS * Math.max(1, this.step));
    /** Input not yet used up; `at` is the position in it of the next sample to make. */
    this.input = new Float32Array(this.reach);
    this.at = this.reach;
    this.piece = new Int16Array(PIECE);
    this.filled = 0;
    this.loudest = 0;
  }

  /** A windowed sinc around a position between two samples. */
  sampleAt(position) {
    const middle = Math.floor(position);
    let sum = 0;
    for (let i = middle - this.reach + 1; i <= middle + this.reach; ++i) {
      const x = position - i;
      const angle = Math.PI * x * this.cutoff;
      const sinc = Math.abs(angle) < 1e-6 ? 1 : Math.sin(angle) / angle;
      const window = 0.5 + 0.5 * Math.cos(Math.PI * x / (this.reach + 1));
      sum += this.input[i] * sinc * window * this.cutoff;
    }
    return sum;
  }

  process(inputs) {
    const input = inputs[0][0];
    if (!input) return true;
    const joined = new Float32Array(this.input.length + input.length);
    joined.set(this.input);
    joined.set(input, this.input.length);
    this.input = joined;
    while (this.at + this.reach < this.input.length) {
      const sample = Math.max(-1, Math.min(1, this.sampleAt(this.at)));
      this.loudest = Math.max(this.loudest, Math.abs(sample));
      this.piece[this.filled++] = Math.round(sample * 32767);
      this.at += this.step;
      if (this.filled === PIECE) {
        const piece = this.piece.slice();
        this.port.postMessage({pcm: piece.buffer, level: this.loudest}, [piece.buffer]);
        this.filled = 0;
        this.loudest = 0;
      }
    }
    const done = Math.floor(this.at) - this.reach;
    this.input = this.input.slice(done);
    this.at -= done;
    return true;
  }
}
registerProcessor('live-microphone', LiveMicrophone);
