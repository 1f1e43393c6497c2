#include "engine/prompt_builder.h"

#include <algorithm>
#include <span>
#include <string>
#include <utility>

namespace calliope::engine {
namespace {

// What a picture or sound is refused for, with the field it came in.
std::unexpected<Error> in_messages(Error error) {
  error.field = "messages";
  return std::unexpected(std::move(error));
}

Steps<Result<model::VisionFeatures>> encode_picture(const model::Model& model, const assistant::Image& image) {
  auto cutting = model.image_processor.process_steps(image.rgb, image.width, image.height);
  while (cutting.step()) co_yield Pause{};
  const auto patches = cutting.take();
  if (!patches) co_return std::unexpected(patches.error());
  auto encoding = model.vision_encoder.encode_steps(patches->pixel_values.rows(), patches->grid);
  while (encoding.step()) co_yield Pause{};
  co_return encoding.take();
}

}  // namespace

Result<void> PromptBuilder::begin(const assistant::Request& request, const PromptLimits& limits) {
  TRY(ids_, prompt_ids(model_, request));
  for (const auto& turn : request.turns) {
    if (auto added = add(turn); !added) return in_messages(std::move(added).error());
  }
  TRY_VOID(count_tokens(limits));
  pad_sounds();
  return {};
}

Result<void> PromptBuilder::add(const assistant::Turn& turn) {
  for (const auto& part : turn.parts) {
    if (const auto* image = std::get_if<assistant::ImagePart>(&part)) {
      TRY(const auto grid, model_.image_processor.grid((*image)->width, (*image)->height));
      pictures_.push_back({.image = *image, .grid = grid});
      continue;
    }
    if (const auto* sound = std::get_if<assistant::SoundPart>(&part)) {
      sounds_.push_back(std::make_unique<SoundEncoder>(model_, cache_, *sound));
    } else if (const auto* live = std::get_if<assistant::LiveSoundPart>(&part)) {
      if (live_) return fail(ErrorCode::invalid_argument, "a request can hold one sound that is still being recorded, not more");
      sounds_.push_back(std::make_unique<SoundEncoder>(model_, cache_, *live));
      live_ = sounds_.back().get();
    } else {
      continue;
    }
    TRY_VOID(model_.audio_encoder.check());
  }
  return {};
}

// Known from the sizes of the media, so what does not fit is refused before it costs anything.
Result<void> PromptBuilder::count_tokens(const PromptLimits& limits) {
  const model::ThinkerConfig& config = model_.config.thinker;
  const model::LogMelConfig& mel = model_.log_mel.config();
  most_tokens_ = static_cast<int64_t>(ids_.size()) - std::ranges::count_if(ids_, [&](int32_t id) {
                   return id == config.audio_token_id || id == config.image_token_id;
                 });
  for (const auto& picture : pictures_) most_tokens_ += picture.grid.tokens(model_.image_processor.config().merge_size);
  const auto tokens_of = [&](int64_t samples) {
    return model::audio_tokens((samples + mel.hop_samples - 1) / mel.hop_samples, config.audio);
  };
  for (const auto& sound : sounds_) most_tokens_ += sound->live() ? 0 : tokens_of(sound->samples());
  if (live_) {
    const int64_t room = std::min(config.text.max_position_embeddings, limits.tokens) - 2 - most_tokens_;
    int64_t seconds = limits.live_seconds;
    while (seconds > 1 && tokens_of(seconds * mel.sample_rate) > room) --seconds;
    most_live_samples_ = seconds * mel.sample_rate;
    most_tokens_ += tokens_of(most_live_samples_);
  }
  return check_room(most_tokens_, config);
}

// A sound that goes on is taken to end with the second that has begun, as what is padded to it would change with every
// sample else.
void PromptBuilder::pad_sounds() {
  const model::LogMelConfig& mel = model_.log_mel.config();
  int64_t longest = 0, longest_chunk = 0;
  for (const auto& sound : sounds_) {
    int64_t samples = sound->samples();
    if (!sound->ended()) samples = (samples / mel.sample_rate + 1) * mel.sample_rate;
    longest = std::max(longest, samples);
  }
  for (const auto& sound : sounds_) {
    const auto extent = model_.log_mel.extent(sound->ended() ? sound->samples() : longest, longest);
    if (extent) longest_chunk = std::max(longest_chunk, std::min(extent->frames, model_.audio_encoder.chunk_frames()));
  }
  for (const auto& sound : sounds_) sound->pad(longest, longest_chunk);
}

Result<bool> PromptBuilder::step() {
  if (listening()) {
    if (auto heard = live_->listen(); !heard) return in_messages(std::move(heard).error());
    if (live_->samples() > most_live_samples_) {
      return fail(ErrorCode::too_large, "the sound is longer than " + std::to_string(most_live_samples_ / model_.log_mel.config().sample_rate) +
                                            " seconds, the most that fits here of one that is still being recorded; end it earlier",
                  "messages");
    }
    pad_sounds();
  }
  for (Picture& picture : pictures_) {
    if (picture.done) continue;
    if (auto stepped = step_picture(picture); !stepped) return in_messages(std::move(stepped).error());
    return true;
  }
  for (const auto& sound : sounds_) {
    auto stepped = sound->step();
    if (!stepped) return in_messages(std::move(stepped).error());
    if (*stepped) return true;
  }
  return false;
}

Result<void> PromptBuilder::step_picture(Picture& picture) {
  if (!std::exchange(picture.asked, true)) {
    picture.hash = content_hash(*picture.image);
    if (const auto* known = cache_ ? cache_->find(picture.hash) : nullptr) {
      picture.features = *known;
      picture.done = true;
    } else {
      picture.encoding.emplace(encode_picture(model_, *picture.image));
    }
    return {};
  }
  if (picture.encoding->step()) return {};
  TRY(picture.features, picture.encoding->take());
  picture.encoding.reset();
  picture.done = true;
  if (cache_) cache_->keep(picture.hash, picture.features);
  return {};
}

int64_t PromptBuilder::changes() const {
  int64_t changes = 0;
  for (const auto& sound : sounds_) changes += sound->changes();
  return changes;
}

Result<Prompt> PromptBuilder::prompt() {
  taken_ = changes();
  const model::ThinkerConfig& config = model_.config.thinker;
  std::vector<int32_t> ids;
  EncodedMedia media{.known = true};
  size_t sound = 0, picture = 0;
  bool whole = true;
  // One placeholder a medium becomes one a token.
  for (size_t i = 0; i < ids_.size() && whole; ++i) {
    int64_t count = 1;
    if (ids_[i] == config.audio_token_id && sound < sounds_.size()) {
      const SoundEncoder& encoder = *sounds_[sound++];
      std::vector<tensor::Tensor> parts;
      count = 0;
      for (const SoundEncoder::Block& block : encoder.blocks()) {
        for (int64_t row = 0; row < block.features.shape()[0]; ++row) media.audio_marks.push_back(TokenMark::medium(block.hash, row));
        count += block.features.shape()[0];
        parts.push_back(block.features);
      }
      if (count > 0) media.audio.push_back(model::joined_rows(parts));
      whole = encoder.done();
    } else if (ids_[i] == config.image_token_id && picture < pictures_.size()) {
      const Picture& seen = pictures_[picture++];
      count = seen.features.features.shape()[0];
      for (int64_t row = 0; row < count; ++row) media.image_marks.push_back(TokenMark::medium(seen.hash, row));
      media.images.push_back(seen.features);
      media.grids.push_back(seen.grid);
    }
    ids.insert(ids.end(), static_cast<size_t>(count), ids_[i]);
  }
  // Media the template has no place for are an error of the whole prompt.
  for (; whole && sound < sounds_.size(); ++sound) {
    std::vector<tensor::Tensor> parts;
    for (const auto& block : sounds_[sound]->blocks()) parts.push_back(block.features);
    media.audio.push_back(model::joined_rows(parts));
  }
  for (; whole && picture < pictures_.size(); ++picture) {
    media.images.push_back(pictures_[picture].features);
    media.grids.push_back(pictures_[picture].grid);
  }
  if (ids.empty() && !whole) return Prompt{.whole = false};
  TRY(Prompt prompt, assemble_prompt(model_, std::move(ids), std::move(media)));
  prompt.whole = whole;
  return prompt;
}

}  // namespace calliope::engine
