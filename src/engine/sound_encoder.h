#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "assistant/request.h"
#include "base/result.h"
#include "base/steps.h"
#include "engine/media_cache.h"
#include "engine/sound_preparation.h"
#include "model/log_mel_stream.h"
#include "model/model.h"

namespace calliope::engine {

/// One sound of a prompt on its way to the thinker: log-mel frames, chunks through the convolutions, blocks through the
/// encoder, in small steps; whole, or while it is still being recorded. What comes out depends only on the mel frames of
/// its block, and is known by their hash: the same sound gives the same blocks however it came. A sound that gets louder
/// changes what was quiet in it (LogMelStream), so blocks may change until it has ended.
class SoundEncoder {
 public:
  /// A whole sound, prepared as the checkpoint says (SoundPreparation); it is kept as it is, and shared, until it is
  /// encoded. `cache` may be null.
  SoundEncoder(const model::Model& model, MediaCache* cache, assistant::SoundPart sound);
  SoundEncoder(const model::Model& model, MediaCache* cache, assistant::LiveSoundPart sound);

  /// Takes what has come of a live sound. invalid_argument when a sample is not finite.
  Result<void> listen();
  bool live() const { return live_ != nullptr; }
  /// All of it is there.
  bool ended() const { return ended_; }
  int64_t samples() const;

  /// What the reference pads a sound with depends on the others of the prompt: its samples to the longest sound, its chunks
  /// to the longest chunk (in frames). To be told before step() whenever one of both may have changed.
  void pad(int64_t longest_samples, int64_t longest_chunk);

  /// One piece of work, some milliseconds at most at calliope-nano's sizes; false: there is nothing to do, until more comes.
  /// invalid_argument when the sound is too short.
  Result<bool> step();

  /// Blocks that are encoded, from the first on.
  struct Block {
    ContentHash hash;
    tensor::Tensor features;  ///< [tokens, output_dim]
  };
  std::span<const Block> blocks() const { return std::span(blocks_).first(fresh_blocks_); }
  /// All of the sound is encoded.
  bool done() const { return done_; }
  /// How often blocks() has changed.
  int64_t changes() const { return changes_; }

 private:
  struct Chunk {
    ContentHash hash;
    tensor::Tensor embedded;  ///< [tokens, d_model]
  };
  ContentHash sound_hash();
  bool find_whole();
  void keep_whole();
  void take_whole_chunks();
  void take_frames(int64_t frames, float loudest);
  tensor::Tensor features(size_t chunk) const;
  int64_t padded_frames() const;
  void name_chunk();
  void embed(size_t index);
  void step_block(size_t end);
  void take_block(Block block);

  const model::Model& model_;
  MediaCache* cache_;
  assistant::SoundPart sound_;     // one of both
  SoundPreparation preparation_;
  assistant::LiveSoundPart live_;
  model::LogMelStream mel_;
  std::vector<float> fresh_samples_;
  std::optional<ContentHash> samples_hash_;
  bool ended_ = false, done_ = false;
  bool asked_ = false;  // the cache, for the whole sound
  bool final_ = false;  // the last frames are there, for what pad() told
  int64_t longest_samples_ = 0, longest_chunk_ = 0;

  // Frames that are taken: whole chunks, in the end all; and the loudest they are scaled by. Fresh are the chunks that are
  // known to be made of them, and the blocks of those.
  int64_t frames_ = 0;
  float loudest_ = 0;
  std::vector<Chunk> chunks_;
  std::vector<Block> blocks_;
  size_t fresh_chunks_ = 0, fresh_blocks_ = 0;
  int64_t changes_ = 0;
  std::optional<Steps<tensor::Tensor>> encoding_;  // of the first block that is not fresh
  ContentHash encoding_hash_;
};

}  // namespace calliope::engine
