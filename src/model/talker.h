#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "model/code_predictor.h"
#include "model/config.h"
#include "model/decoder.h"
#include "model/thinker.h"

namespace calliope::model {

/// One answer being spoken.
struct TalkerState {
  DecoderState decoder;
  tensor::Tensor hidden;           ///< [1, D]: the talker's last hidden state
  int64_t next_position = 0;
  int32_t code = -1;               ///< code 0 chosen last, or codec_eos
  Gaze gaze;                       ///< at which tokens the row that hidden comes from looked; heads empty: not asked for
};

/// One answer's next frame.
struct TalkerStep {
  TalkerState* state = nullptr;
  std::span<const float> next_text;      ///< [D]: the next projected text row, tts_eos once, then tts_pad
  const Picker* pick_code = nullptr;     ///< chooses code 0
  const Picker* pick_residual = nullptr; ///< chooses the other groups' codes
  std::span<int32_t> codes;              ///< [groups], to be filled
  bool ended = false;                    ///< set when codec_eos was chosen: there is no frame
};

/// Buffers of a step; no answers more than ever before allocate nothing.
struct TalkerScratch {
  DecoderScratch decoder;
  CodePredictorScratch predictor;
  tensor::Tensor hidden, logits, code0, x;
  Positions positions;
  std::vector<TalkerStep*> going;
  std::vector<FrameCodes> frames;
  std::vector<SequenceRows> sequences;
};

/// Speaking: Qwen3OmniMoeTalkerForConditionalGeneration with its code predictor. Text goes in as projected thinker
/// embeddings, one token a step; one frame of codes comes out a step.
class Talker {
 public:
  /// Takes talker.*.
  static Result<Talker> load(const Weights& weights, const Config& config);

  /// Rows for text: text_projection of thinker embeddings. embeds [T, thinker hidden] -> out [T, D].
  void project_text(tensor::ConstRows embeds, tensor::Rows out) const;
  /// Rows for media: hidden_projection of the thinker's hidden states at accept_hidden_layer.
  void project_hidden(tensor::ConstRows hidden, tensor::Rows out) const;

  /// The nine rows that open the answer: the assistant's three tokens, four pads, bos and the first text token, with the
  /// codec control tokens and the speaker added (_get_talker_assistant_parts). start [3, D] and first_text [1, D] are
  /// projected rows; out [9, D].
  static constexpr int64_t kAssistantRows = 9;
  void assistant_rows(tensor::ConstRows start, tensor::ConstRows first_text, int32_t speaker, tensor::Rows out) const;

  /// Runs prompt rows x [T, D] (overwritten). Call once or in pieces; the last piece ends with the assistant rows.
  void prefill(tensor::Rows x, const Positions& positions, TalkerState& state, DecoderScratch& scratch) const;
  void prefill(tensor::Rows x, const Positions& positions, TalkerState& state) const;

  /// The next frame of each answer, all in one pass; each comes out as it would alone. Chooses code 0 from the last hidden
  /// state, predicts the other codes, and takes them and the next text in for the step after.
  void step(std::span<TalkerStep> steps, TalkerScratch& scratch) const;
  /// The same for one answer, with buffers of its own. False when the answer has ended.
  bool step(std::span<const float> next_text, const Picker& pick_code, const Picker& pick_residual, TalkerState& state,
            std::span<int32_t> codes) const;

  /// Projected tts_pad, tts_bos and tts_eos [D].
  std::span<const float> tts_pad() const { return specials_.span().subspan(0, size()); }
  std::span<const float> tts_bos() const { return specials_.span().subspan(size(), size()); }
  std::span<const float> tts_eos() const { return specials_.span().subspan(2 * size(), size()); }

  /// The speaker's id; an unknown or empty name is the model's first voice.
  int32_t speaker(std::string_view name) const;

  /// Ids the reference never lets code 0 be: [begin, end) but codec_eos.
  int32_t suppress_begin() const;
  int32_t suppress_end() const { return static_cast<int32_t>(config_.text.vocab_size); }

  const TalkerConfig& config() const { return config_; }

 private:
  struct ResizeMlp {
    kernels::LinearWeight linear_fc1, linear_fc2;
  };
  size_t size() const { return static_cast<size_t>(config_.text.hidden_size); }
  void project(const ResizeMlp& w, tensor::ConstRows x, tensor::Rows out) const;

  TalkerConfig config_;
  Decoder decoder_;
  CodePredictor code_predictor_;
  tensor::View codec_embedding_;
  kernels::LinearWeight codec_head_;
  ResizeMlp text_projection_, hidden_projection_;
  tensor::Tensor specials_;  // [3, D]
};

}  // namespace calliope::model
