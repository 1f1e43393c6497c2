#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/attention_head.h"

namespace calliope::model {

/// How tokens are drawn when the request does not say (generation_config.json).
struct DrawDefaults {
  bool do_sample = false;
  float temperature = 1.0f;
  int top_k = 50;
  float top_p = 1.0f;
  float repetition_penalty = 1.0f;
};

struct GenerationConfig {
  DrawDefaults thinker;
  /// The reference's generate(): sampling, temperature 0.9, top-k 50, repetition penalty 1.05.
  DrawDefaults talker = {.do_sample = true, .temperature = 0.9f, .top_k = 50, .top_p = 1.0f, .repetition_penalty = 1.05f};
  /// The reference's residual codes: top-k 50, top-p 0.8.
  DrawDefaults code_predictor = {.do_sample = true, .temperature = 1.0f, .top_k = 50, .top_p = 0.8f};
  int talker_max_new_tokens = 4096;
  /// Heads of the talker that look at the word being spoken: talker_alignment_heads, [[layer, head], ...], as Whisper's
  /// alignment_heads. None: nothing is known of where its attention lies.
  std::vector<AttentionHead> talker_alignment_heads;
  /// Text is written out in words before it is spoken (talker_reads_words): for a talker that learned words alone.
  bool talker_reads_words = false;
  /// Its words are then spelled as they sound (talker_reads_sounds): for a talker that learned reading/pronunciations.h.
  bool talker_reads_sounds = false;
  /// The talker's first frames (talker_lead_frames) are silence in which it reads ahead, and not heard.
  int talker_lead_frames = 0;
  /// Given text is spoken in passages of at most so many characters (talker_passage_characters): what it knows well.
  int talker_passage_characters = 300;
  /// And of at most so many sentences (talker_passage_sentences); 0: any number.
  int talker_passage_sentences = 0;
  std::vector<int32_t> eos_token_ids;
  /// What stands after a sound to get its transcript; {language} and {prompt} are filled in. Empty: the usual one.
  std::string transcription_prompt;
  int transcription_seconds = 0;  ///< the longest sound to be transcribed at once; 0: the usual
};

/// Reads generation_config.json; absent fields keep their defaults.
Result<GenerationConfig> parse_generation_config(std::string_view json);

}  // namespace calliope::model
