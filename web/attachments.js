// Photos and sounds on their way into a message.
// @ts-check

const LONGEST_SIDE = 2048;
const LARGEST_BYTES = 40 * 2 ** 20;
const SOUND_FORMATS = {
  'audio/wav': 'wav', 'audio/x-wav': 'wav', 'audio/wave': 'wav', 'audio/vnd.wave': 'wav', 'audio/mpeg': 'mp3', 'audio/mp3': 'mp3',
  'audio/webm': 'webm', 'audio/ogg': 'ogg', 'audio/opus': 'opus', 'audio/flac': 'flac', 'audio/x-flac': 'flac',
  'audio/mp4': 'm4a', 'audio/x-m4a': 'm4a', 'audio/m4a': 'm4a', 'audio/aac': 'aac',
};

/**
 * What one message carries besides text. `url` shows it in the page; `part` is what the server gets.
 * @typedef {{kind: 'image' | 'sound', url: string, name: string, part: object}} Attachment
 */

/** @param {Blob} blob @returns {Promise<string>} data: URL */
function dataUrl(blob) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(String(reader.result));
    reader.onerror = () => reject(new Error('The file could not be read.'));
    reader.readAsDataURL(blob);
  });
}

/** Makes a photo at most LONGEST_SIDE wide and high; what the browser cannot read goes to the server as it is. @param {Blob} file */
async function shrink(file) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(file);
  } catch {
    return file;
  }
  const scale = LONGEST_SIDE / Math.max(bitmap.width, bitmap.height);
  if (scale >= 1) {
    bitmap.close();
    return file;
  }
  const canvas = new OffscreenCanvas(Math.max(1, Math.round(bitmap.width * scale)), Math.max(1, Math.round(bitmap.height * scale)));
  const drawing = /** @type {OffscreenCanvasRenderingContext2D} */ (canvas.getContext('2d'));
  drawing.imageSmoothingQuality = 'high';
  drawing.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  bitmap.close();
  return canvas.convertToBlob({type: 'image/jpeg', quality: 0.9});
}

/** @param {Blob} blob @param {string} format @param {string} name @returns {Promise<Attachment>} */
export async function soundAttachment(blob, format, name) {
  const data = (await dataUrl(blob)).replace(/^[^,]*,/, '');
  return {kind: 'sound', url: URL.createObjectURL(blob), name, part: {type: 'input_audio', input_audio: {data, format}}};
}

/** Throws an Error whose message is for the person. @param {File} file @returns {Promise<Attachment>} */
export async function attachmentOf(file) {
  if (file.size === 0) throw new Error(`${file.name} is empty.`);
  if (file.size > LARGEST_BYTES) throw new Error(`${file.name} is larger than 40 MB.`);
  const extension = file.name.split('.').pop()?.toLowerCase() ?? '';
  if (file.type.startsWith('image/') || extension === 'heic' || extension === 'heif') {
    const blob = await shrink(file);
    const type = blob.type || `image/${extension}`;
    const url = (await dataUrl(blob)).replace(/^data:[^,]*,/, `data:${type};base64,`);
    return {kind: 'image', url: URL.createObjectURL(blob), name: file.name, part: {type: 'image_url', image_url: {url}}};
  }
  const format = SOUND_FORMATS[/** @type {keyof typeof SOUND_FORMATS} */ (file.type.split(';')[0])] ??
      (['wav', 'mp3', 'webm', 'ogg', 'opus', 'flac', 'm4a', 'aac'].includes(extension) ? extension : '');
  if (!format) throw new Error(`${file.name} is neither a photo nor a sound Calliope knows.`);
  return soundAttachment(file, format, file.name);
}
