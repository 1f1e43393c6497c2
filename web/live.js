// A conversation by voice alone, over OpenAI's Realtime API: what the microphone hears goes up as it is heard, the answer
// is played as it comes, and whoever speaks up is heard at once.
// @ts-check

import {LivePlayer} from './live_player.js';
import {explain, MICROPHONE} from './recorder.js';

const MOST_WAITING_BYTES = 2 ** 20;  // what a slow connection may leave unsent

/**
 * connecting: not yet open; listening: nobody speaks; hearing: the person speaks; thinking: the answer has not begun;
 * speaking: the answer is heard; ended.
 * @typedef {'connecting' | 'listening' | 'hearing' | 'thinking' | 'speaking' | 'ended'} LiveState
 * @typedef {{
 *   state: (state: LiveState) => void,
 *   heard: (item: string, text: string) => void,
 *   said: (item: string, text: string, whole: boolean, goesOn: string) => void,  goesOn: the item of which it is the rest
 *   cut: (item: string, text: string) => void,
 *   trouble: (message: string) => void,
 *   ended: (message: string) => void,
 * }} LiveListener
 */

/** @param {ArrayBuffer} buffer */
const base64 = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer)));

/** A short-lived key to open the socket with, so that the real one goes into no address or header that is logged.
 * @param {string} key @returns {Promise<string>} empty when the server asks for none */
async function clientSecret(key) {
  if (!key) return '';
  const response = await fetch('/v1/realtime/client_secrets', {
    method: 'POST',
    headers: {'Content-Type': 'application/json', Authorization: `Bearer ${key}`},
    body: JSON.stringify({session: {type: 'realtime'}}),
  });
  const body = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(body.error?.message ?? `The server answered ${response.status}.`);
  return body.value;
}

export class LiveCall {
  /** @param {LiveListener} listener */
  constructor(listener) {
    /** @private */ this.listener = listener;
    /** @type {LiveState} */ this.state = 'connecting';
    this.player = new LivePlayer(() => this.show());
    this.microphoneLevel = 0;
    this.muted = false;
    /** @private @type {WebSocket | undefined} */ this.socket = undefined;
    /** @private @type {MediaStream | undefined} */ this.stream = undefined;
    /** @private @type {AudioContext | undefined} */ this.context = undefined;
    /** @private */ this.speechOn = false;   // the person speaks
    /** @private */ this.answering = false;  // a response is being made, or is expected
    /** @private */ this.response = '';
    /** @private @type {Map<string, string>} */ this.texts = new Map();
    /** @private */ this.lastItem = '';
    /** @private */ this.goesOn = '';        // what an answer is the rest of: it was interrupted by a cough
  }

  /**
   * Opens microphone and connection. Throws an Error whose message is for the person.
   * @param {{key: string, voice?: string, history: {role: 'user' | 'assistant', text: string}[]}} options
   */
  async start({key, history}) {
    try {
      await this.openMicrophone();
      await this.connect(await clientSecret(key));
    } catch (error) {
      this.close();
      throw error;
    }
    if (this.state === 'ended') return;
    this.send({
      type: 'session.update',
      session: {
        type: 'realtime',
        output_modalities: ['audio'],
        audio: {
          input: {
            format: {type: 'audio/pcm', rate: 24000},
            transcription: {model: 'calliope'},
            turn_detection: {type: 'server_vad', create_response: true, interrupt_response: true},
          },
          output: {format: {type: 'audio/pcm', rate: 24000}},
        },
      },
    });
    for (const {role, text} of history) {
      const type = role === 'user' ? 'input_text' : 'output_text';
      this.send({type: 'conversation.item.create', item: {type: 'message', role, content: [{type, text}]}});
    }
    this.show();
  }

  /** @private */
  async openMicrophone() {
    if (!navigator.mediaDevices?.getUserMedia) {
      throw new Error('Browsers give the microphone only to https pages and to localhost; open Calliope that way.');
    }
    try {
      this.stream = await navigator.mediaDevices.getUserMedia({audio: MICROPHONE});
      this.context = new AudioContext({latencyHint: 'interactive'});
      await this.context.audioWorklet.addModule('/live_worklet.js');
      const node = new AudioWorkletNode(this.context, 'live-microphone', {numberOfOutputs: 0, channelCount: 1});
      node.port.onmessage = ({data}) => this.hear(data.pcm, data.level);
      this.context.createMediaStreamSource(this.stream).connect(node);
      await this.context.resume();
    } catch (error) {
      throw new Error(explain(error));
    }
  }

  /** @private @param {string} secret */
  connect(secret) {
    const protocols = ['realtime'];
    if (secret) protocols.push(`openai-insecure-api-key.${secret}`);
    const socket = new WebSocket(`${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/v1/realtime`, protocols);
    this.socket = socket;
    return new Promise((resolve, reject) => {
      let opened = false;
      socket.onmessage = ({data}) => {
        const event = JSON.parse(data);
        if (event.type === 'session.created') {
          opened = true;
          resolve(undefined);
        }
        this.take(event);
      };
      socket.onclose = ({code, reason}) => {
        const why = reason || (code === 1001 ? 'The server is stopping.' : 'The connection broke.');
        if (!opened) reject(new Error(reason || 'Calliope cannot be talked to right now: the connection was refused.'));
        else if (this.state !== 'ended') this.end(why);
      };
    });
  }

  /** @private @param {object} event */
  send(event) {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(event));
  }

  /** @private @param {ArrayBuffer} pcm @param {number} level */
  hear(pcm, level) {
    this.microphoneLevel = this.muted ? 0 : level;
    if (this.socket?.readyState !== WebSocket.OPEN || this.state === 'connecting') return;
    if (this.socket.bufferedAmount > MOST_WAITING_BYTES) return this.end('The connection is too slow for a conversation.');
    if (this.muted) new Uint8Array(pcm).fill(0);  // silence, so that the server's clock goes on
    this.send({type: 'input_audio_buffer.append', audio: base64(pcm)});
  }

  /** @private @param {any} event */
  take(event) {
    switch (event.type) {
      case 'input_audio_buffer.speech_started':
        this.speechOn = true;
        this.interrupt();
        break;
      case 'input_audio_buffer.speech_stopped':
        this.speechOn = false;
        this.answering = true;
        break;
      case 'input_audio_buffer.cleared':  // it was a cough: the answer goes on
        this.goesOn = this.lastItem;
        this.answering = false;
        break;
      case 'input_audio_buffer.committed':
        this.goesOn = '';
        this.listener.heard(event.item_id, '');
        break;
      case 'conversation.item.input_audio_transcription.delta':
        this.texts.set(event.item_id, (this.texts.get(event.item_id) ?? '') + event.delta);
        this.listener.heard(event.item_id, this.texts.get(event.item_id) ?? '');
        break;
      case 'conversation.item.input_audio_transcription.completed':
        this.listener.heard(event.item_id, event.transcript);
        break;
      case 'response.created':
        this.response = event.response.id;
        this.answering = true;
        break;
      case 'response.output_audio.delta':
        this.player.push(event.item_id, event.delta);
        break;
      case 'response.output_audio_transcript.delta':
      case 'response.output_text.delta':
        this.texts.set(event.item_id, (this.texts.get(event.item_id) ?? '') + event.delta);
        this.lastItem = event.item_id;
        this.listener.said(event.item_id, this.texts.get(event.item_id) ?? '', false, this.goesOn);
        break;
      case 'response.done':
        this.finish(event.response);
        break;
      case 'conversation.item.truncated':
        this.send({type: 'conversation.item.retrieve', item_id: event.item_id});
        break;
      case 'conversation.item.retrieved': {
        const part = event.item.content?.at(-1);
        this.listener.cut(event.item.id, part?.transcript ?? part?.text ?? '');
        break;
      }
      case 'error':
        // An answer may end by itself in the very moment it is stopped.
        if (!String(event.error.event_id ?? '').startsWith('stop')) this.listener.trouble(event.error.message);
        break;
    }
    this.show();
  }

  /** @private @param {any} response */
  finish(response) {
    if (response.id === this.response) this.answering = false;
    for (const item of response.output ?? []) {
      if (item.type === 'message' && this.texts.has(item.id)) this.listener.said(item.id, this.texts.get(item.id) ?? '', true, '');
    }
    if (response.status === 'failed') this.listener.trouble(response.status_details?.error?.message ?? 'The answer failed.');
  }

  /** @private Silence at once, and the server is told what was heard. */
  interrupt() {
    const was = this.player.halt();
    if (!was) return;
    this.send({type: 'conversation.item.truncate', event_id: `stop-${was.item}`, item_id: was.item, content_index: 0, audio_end_ms: was.heardMs});
  }

  /** Ends the answer that is being given. */
  stopSpeaking() {
    if (this.answering) this.send({type: 'response.cancel', event_id: 'stop'});
    this.interrupt();
    this.answering = false;
    this.show();
  }

  /** Puts a picture into the conversation, to be asked about. @param {string} url data: URL */
  showPicture(url) {
    this.send({type: 'conversation.item.create', item: {type: 'message', role: 'user', content: [{type: 'input_image', image_url: url}]}});
  }

  /** Tells the listener when the state is another one. @private */
  show() {
    if (this.state === 'ended') return;
    let state = /** @type {LiveState} */ ('listening');
    if (this.socket?.readyState !== WebSocket.OPEN) state = 'connecting';
    else if (this.speechOn) state = 'hearing';
    else if (this.player.playing) state = 'speaking';
    else if (this.answering) state = 'thinking';
    if (state === this.state) return;
    this.state = state;
    this.listener.state(state);
  }

  /** Hangs up. @param {string} [why] for the person; nothing when it was their wish */
  end(why = '') {
    if (this.state === 'ended') return;
    this.close();
    this.listener.ended(why);
  }

  /** @private */
  close() {
    this.state = 'ended';
    this.player.halt();
    for (const track of this.stream?.getTracks() ?? []) track.stop();
    this.context?.close().catch(() => {});
    this.socket?.close(1000);
  }
}
