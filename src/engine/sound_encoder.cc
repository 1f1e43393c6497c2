#include "engine/sound_encoder.h"

#include <algorithm>
#include <utility>

namespace calliope::engine {
namespace {

constexpr int64_t kFramesPerStep = 500;

// What is hashed, so that a chunk is never taken for a block.
enum Kind : uint64_t { kChunk = 1, kBlock = 2, kSound = 3 };

int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

}  // namespace

SoundEncoder::SoundEncoder(const model::Model& model, MediaCache* cache, assistant::SoundPart sound)
    : model_(model),
      cache_(cache),
      sound_(std::move(sound)),
      preparation_(SoundPreparation::of(*sound_, model.log_mel.config())),
      mel_(model.log_mel),
      ended_(true) {}

SoundEncoder::SoundEncoder(const model::Model& model, MediaCache* cache, assistant::LiveSoundPart sound)
    : model_(model), cache_(cache), live_(std::move(sound)), mel_(model.log_mel) {}

Result<void> SoundEncoder::listen() {
  if (ended_) return {};
  const bool last = live_->size().ended;  // asked first: what is read afterwards is all
  fresh_samples_.clear();
  live_->read(static_cast<size_t>(samples()), fresh_samples_);
  TRY_VOID(mel_.append(fresh_samples_));
  ended_ = last;
  return {};
}

int64_t SoundEncoder::samples() const {
  return sound_ ? static_cast<int64_t>(preparation_.before + sound_->samples.size() + preparation_.after) : mel_.samples();
}

void SoundEncoder::pad(int64_t longest_samples, int64_t longest_chunk) {
  if (longest_samples == longest_samples_ && longest_chunk == longest_chunk_) return;
  const ContentHash before = sound_hash();
  longest_samples_ = longest_samples;
  longest_chunk_ = longest_chunk;
  if (ended_ && sound_hash() != before) final_ = done_ = asked_ = false;
}

// The whole sound with what its features depend on beside its samples. More than two windows of padding are as good as any.
ContentHash SoundEncoder::sound_hash() {
  if (!ended_) return {};
  if (!samples_hash_) samples_hash_ = content_hash(sound_ ? std::span(sound_->samples) : mel_.sound(), {preparation_.changes()});
  const model::LogMelConfig& mel = model_.log_mel.config();
  const int64_t enough = 2 * mel.n_fft + 4 * mel.hop_samples;
  const int64_t padding = mel.padding_value != 0 ? longest_samples_ : std::min(longest_samples_ - samples(), enough);
  const uint64_t words[] = {kSound, samples_hash_->a, samples_hash_->b, static_cast<uint64_t>(padding), static_cast<uint64_t>(longest_chunk_)};
  return content_hash(std::as_bytes(std::span(words)));
}

Result<bool> SoundEncoder::step() {
  if (done_) return false;
  if (sound_ && !std::exchange(asked_, true)) {
    if (find_whole()) return true;
    if (mel_.samples() > 0) return true;
    if (preparation_.changes()) {
      TRY_VOID(mel_.append(preparation_.apply(*sound_)));
    } else {
      TRY_VOID(mel_.append(sound_->samples));
    }
    return true;
  }
  if (mel_.step(kFramesPerStep)) return true;
  if (ended_ && !final_) {
    TRY_VOID(mel_.end(longest_samples_));
    final_ = true;
    take_frames(mel_.frames(), mel_.loudest());
    return true;
  }
  if (!ended_) take_whole_chunks();
  const auto chunks = static_cast<size_t>(divide_up(frames_, model_.audio_encoder.chunk_frames()));
  const auto a_block = static_cast<size_t>(model_.audio_encoder.block_chunks());
  const size_t blocks = ended_ ? (chunks + a_block - 1) / a_block : chunks / a_block;
  if (fresh_chunks_ < chunks) {
    name_chunk();
    // Of a block that is not whole, the convolutions are done ahead.
    if (fresh_chunks_ > blocks * a_block) embed(fresh_chunks_ - 1);
    return true;
  }
  if (fresh_blocks_ < blocks) {
    step_block(std::min(chunks, (fresh_blocks_ + 1) * a_block));
    return true;
  }
  if (ended_) {
    chunks_.resize(chunks);
    blocks_.resize(blocks);
    done_ = true;
    ++changes_;
    keep_whole();
  }
  return false;
}

// Scaling everything anew whenever it got a little louder would cost more with every second. So what is known as the loudest
// is brought up to date with each chunk of the first block, then with each block, and at the end.
void SoundEncoder::take_whole_chunks() {
  const int64_t chunk = model_.audio_encoder.chunk_frames(), whole = mel_.frames() / chunk;
  if (whole * chunk <= frames_) return;
  const int64_t a_block = model_.audio_encoder.block_chunks();
  const bool catch_up = whole <= a_block || whole / a_block != frames_ / chunk / a_block;
  take_frames(whole * chunk, catch_up ? mel_.loudest() : loudest_);
}

void SoundEncoder::take_frames(int64_t frames, float loudest) {
  const auto whole = static_cast<size_t>(std::min({frames, frames_, mel_.certain_frames()}) / model_.audio_encoder.chunk_frames());
  frames_ = frames;
  fresh_chunks_ = loudest == loudest_ ? std::min(fresh_chunks_, whole) : 0;
  fresh_blocks_ = std::min(fresh_blocks_, fresh_chunks_ / static_cast<size_t>(model_.audio_encoder.block_chunks()));
  loudest_ = loudest;
  encoding_.reset();
}

tensor::Tensor SoundEncoder::features(size_t chunk) const {
  const int64_t frames = model_.audio_encoder.chunk_frames(), first = static_cast<int64_t>(chunk) * frames;
  tensor::Tensor mel({std::min(frames, frames_ - first), model_.log_mel.config().mels});
  mel_.features(first, loudest_, mel.rows());
  return mel;
}

// A sound of whole chunks so far has no shorter chunk that would be padded.
int64_t SoundEncoder::padded_frames() const { return ended_ ? longest_chunk_ : model_.audio_encoder.chunk_frames(); }

void SoundEncoder::name_chunk() {
  const tensor::Tensor mel = features(fresh_chunks_);
  const ContentHash hash = content_hash(mel.span(), {kChunk, static_cast<uint64_t>(padded_frames())});
  if (chunks_.size() == fresh_chunks_) chunks_.emplace_back();
  Chunk& chunk = chunks_[fresh_chunks_++];
  if (chunk.hash != hash) chunk = {hash, {}};
}

void SoundEncoder::embed(size_t index) {
  Chunk& chunk = chunks_[index];
  if (!chunk.embedded.empty()) return;
  if (const auto* known = cache_ ? cache_->find(chunk.hash) : nullptr) {
    chunk.embedded = known->features;
    return;
  }
  chunk.embedded = model_.audio_encoder.embed_chunk(features(index).rows(), padded_frames());
  // Whoever stops and goes on speaking comes with a longer sound. A sound that came whole comes as it was.
  if (cache_ && live_) cache_->keep(chunk.hash, {chunk.embedded, {}});
}

// One step of the first block that is not fresh; its chunks end before `end`.
void SoundEncoder::step_block(size_t end) {
  const size_t begin = fresh_blocks_ * static_cast<size_t>(model_.audio_encoder.block_chunks());
  if (!encoding_) {
    std::vector<uint64_t> words = {kBlock};
    for (size_t i = begin; i < end; ++i) words.insert(words.end(), {chunks_[i].hash.a, chunks_[i].hash.b});
    const ContentHash hash = content_hash(std::as_bytes(std::span(words)));
    if (blocks_.size() > fresh_blocks_ && blocks_[fresh_blocks_].hash == hash) return void(++fresh_blocks_);
    if (const auto* known = cache_ ? cache_->find(hash) : nullptr) return take_block({hash, known->features});
    for (size_t i = begin; i < end; ++i) {
      if (chunks_[i].embedded.empty()) return embed(i);
    }
    std::vector<tensor::Tensor> embedded;
    for (size_t i = begin; i < end; ++i) embedded.push_back(std::move(chunks_[i].embedded));
    encoding_.emplace(model_.audio_encoder.encode_block(model::joined_rows(embedded)));
    encoding_hash_ = hash;
  }
  if (encoding_->step()) return;
  Block block{encoding_hash_, encoding_->take()};
  encoding_.reset();
  if (cache_) cache_->keep(block.hash, {block.features, {}});
  take_block(std::move(block));
}

void SoundEncoder::take_block(Block block) {
  if (blocks_.size() == fresh_blocks_) blocks_.emplace_back();
  blocks_[fresh_blocks_++] = std::move(block);
  ++changes_;
}

// A sound of an earlier turn, say: everything about it is there.
bool SoundEncoder::find_whole() {
  const auto* parts = cache_ ? cache_->find_parts(sound_hash()) : nullptr;
  if (!parts) return false;
  const std::vector<ContentHash> hashes = *parts;
  std::vector<Block> blocks;
  for (const ContentHash& hash : hashes) {
    const auto* known = cache_->find(hash);
    if (!known) return false;
    blocks.push_back({hash, known->features});
  }
  blocks_ = std::move(blocks);
  fresh_blocks_ = blocks_.size();
  done_ = true;
  ++changes_;
  return true;
}

void SoundEncoder::keep_whole() {
  if (!cache_) return;
  std::vector<ContentHash> parts;
  for (const Block& block : blocks_) parts.push_back(block.hash);
  cache_->keep_parts(sound_hash(), std::move(parts));
}

}  // namespace calliope::engine
