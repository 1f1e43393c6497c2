#include "engine/prompt.h"

#include <algorithm>
#include <string>

#include "model/positions.h"

namespace calliope::engine {
namespace {

using tensor::Tensor;

std::string_view role_name(assistant::Role role) {
  switch (role) {
    case assistant::Role::system: return "system";
    case assistant::Role::user: return "user";
    case assistant::Role::assistant: return "assistant";
    case assistant::Role::tool: return "tool";
  }
  return "user";
}

std::vector<model::ChatMessage> messages_of(const model::Tokenizer& tokenizer, const assistant::Request& request) {
  std::vector<model::ChatMessage> messages;
  for (const auto& turn : request.turns) {
    model::ChatMessage message{std::string(role_name(turn.role)), {}};
    for (const auto& part : turn.parts) {
      if (const auto* text = std::get_if<std::string>(&part)) message.parts.push_back({"text", tokenizer.shield(*text)});
      else message.parts.push_back({std::holds_alternative<assistant::ImagePart>(part) ? "image" : "audio", ""});
    }
    for (const auto& call : turn.tool_calls) message.tool_calls.push_back({call.id, call.name, call.arguments});
    message.tool_call_id = turn.tool_call_id;
    messages.push_back(std::move(message));
  }
  return messages;
}

// Tools that may be called; none when the answer must not call any.
model::ChatContext context_of(const model::Tokenizer& tokenizer, const assistant::Request& request) {
  model::ChatContext context{.shield = [&tokenizer](std::string_view text) { return tokenizer.shield(text); }};
  if (request.tool_choice.kind == assistant::ToolChoice::Kind::none) return context;
  for (const auto& tool : request.tools) context.tools.push_back({tool.name, tool.description, tool.parameters});
  return context;
}

Result<void> check_room(int64_t tokens, const model::ThinkerConfig& config) {
  const int64_t context = config.text.max_position_embeddings;
  if (tokens < context) return {};
  return fail(ErrorCode::too_large,
              "the prompt has " + std::to_string(tokens) + " tokens, which leaves no room in the model's context of " +
                  std::to_string(context) + "; shorten the text, the sounds or the conversation, or send fewer pictures",
              "messages");
}

// Tokens the media of a request will become, known from their sizes: to refuse what does not fit before it costs.
Result<int64_t> media_tokens(const model::Model& model, const assistant::Request& request) {
  int64_t tokens = 0;
  for (const auto& turn : request.turns) {
    for (const auto& part : turn.parts) {
      if (const auto* image = std::get_if<assistant::ImagePart>(&part)) {
        TRY(const auto grid, model.image_processor.grid((*image)->width, (*image)->height));
        tokens += grid.tokens(model.image_processor.config().merge_size);
      } else if (const auto* sound = std::get_if<assistant::SoundPart>(&part)) {
        const auto samples = static_cast<int64_t>((*sound)->samples.size());
        tokens += model::audio_tokens(samples / model.log_mel.config().hop_samples, model.config.thinker.audio);
      }
    }
  }
  return tokens;
}

// What a picture or sound is refused for, with the field it came in.
std::unexpected<Error> in_messages(Error error) {
  error.field = "messages";
  return std::unexpected(std::move(error));
}

using Sounds = std::vector<const assistant::Sound*>;

// What a sound's features depend on beside its samples: the reference pads all of a prompt to the longest, first its
// samples, then the chunks of its frames. More than two windows of padding are as good as any.
ContentHash sound_hash(const model::Model& model, const assistant::Sound& sound, const Sounds& sounds) {
  const model::LogMelConfig& mel = model.log_mel.config();
  size_t longest = 0;
  for (const auto* other : sounds) longest = std::max(longest, other->samples.size());
  const auto enough = static_cast<size_t>(2 * mel.n_fft + 4 * mel.hop_samples);
  const size_t padding = mel.padding_value != 0 ? longest : std::min(longest - sound.samples.size(), enough);
  const auto frames = static_cast<int64_t>(longest) / mel.hop_samples;
  return content_hash(sound, {padding, static_cast<uint64_t>(std::min(frames, 2 * model.config.thinker.audio.n_window))});
}

// Encodes what the cache does not know. Where there is a sound shorter than a chunk, which is padded to the longest of the
// prompt, that one goes along.
Result<void> encode_sounds(const model::Model& model, const Sounds& sounds, MediaCache* cache, EncodedMedia& media) {
  std::vector<std::span<const float>> samples;
  std::vector<size_t> unknown;
  for (const auto* sound : sounds) {
    samples.emplace_back(sound->samples);
    media.audio_hashes.push_back(sound_hash(model, *sound, sounds));
    const auto* known = cache ? cache->find(media.audio_hashes.back()) : nullptr;
    if (!known) unknown.push_back(media.audio.size());
    media.audio.push_back(known ? known->features : Tensor());
  }
  if (unknown.empty()) return {};
  TRY(const auto mels, model.log_mel.compute(samples));
  const auto frames_of = [](const Tensor& mel) { return mel.shape()[0]; };
  std::vector<tensor::ConstRows> clips;
  int64_t shortest = frames_of(mels[unknown[0]]);
  for (const size_t i : unknown) {
    clips.push_back(mels[i].rows());
    shortest = std::min(shortest, frames_of(mels[i]));
  }
  if (shortest < 2 * model.config.thinker.audio.n_window) clips.push_back(std::ranges::max_element(mels, {}, frames_of)->rows());
  TRY(auto encoded, model.audio_encoder.encode(clips));
  for (size_t i = 0; i < unknown.size(); ++i) {
    Tensor& features = media.audio[unknown[i]] = std::move(encoded[i]);
    if (cache) cache->keep(media.audio_hashes[unknown[i]], {features, {}});
  }
  return {};
}

Result<void> encode_image(const model::Model& model, const assistant::Image& image, MediaCache* cache, EncodedMedia& media) {
  const ContentHash hash = content_hash(image);
  media.image_hashes.push_back(hash);
  if (const auto* known = cache ? cache->find(hash) : nullptr) {
    TRY(const auto grid, model.image_processor.grid(image.width, image.height));
    media.grids.push_back(grid);
    media.images.push_back(*known);
    return {};
  }
  TRY(const auto patches, model.image_processor.process(image.rgb, image.width, image.height));
  TRY(auto features, model.vision_encoder.encode(patches.pixel_values.rows(), patches.grid));
  if (cache) cache->keep(hash, features);
  media.grids.push_back(patches.grid);
  media.images.push_back(std::move(features));
  return {};
}

// All media of a request, encoded in order.
Result<EncodedMedia> encode_media(const model::Model& model, const assistant::Request& request, MediaCache* cache) {
  EncodedMedia media;
  Sounds sounds;
  for (const auto& turn : request.turns) {
    for (const auto& part : turn.parts) {
      if (const auto* sound = std::get_if<assistant::SoundPart>(&part)) sounds.push_back(sound->get());
      if (const auto* image = std::get_if<assistant::ImagePart>(&part)) TRY_VOID(encode_image(model, **image, cache, media));
    }
  }
  TRY_VOID(encode_sounds(model, sounds, cache, media));
  return media;
}

// One placeholder a medium becomes one a token.
std::vector<int32_t> expand(const std::vector<int32_t>& ids, const EncodedMedia& media, const model::ThinkerConfig& config) {
  std::vector<int32_t> out;
  size_t audio = 0, image = 0;
  for (const int32_t id : ids) {
    int64_t count = 1;
    if (id == config.audio_token_id && audio < media.audio.size()) count = media.audio[audio++].shape()[0];
    if (id == config.image_token_id && image < media.images.size()) count = media.images[image++].features.shape()[0];
    out.insert(out.end(), static_cast<size_t>(count), id);
  }
  return out;
}

// The marks of a prompt whose placeholders are expanded.
std::vector<TokenMark> marks_of(const std::vector<int32_t>& ids, const EncodedMedia& media, const model::ThinkerConfig& config) {
  std::vector<TokenMark> marks;
  for (const int32_t id : ids) marks.push_back(TokenMark::token(id));
  const auto mark = [&](int32_t id, const std::vector<ContentHash>& hashes, auto rows_of) {
    size_t at = 0;
    for (size_t i = 0; i < hashes.size(); ++i) {
      for (int64_t row = 0; row < rows_of(i); ++row) {
        while (ids[at] != id) ++at;
        marks[at++] = TokenMark::medium(hashes[i], row);
      }
    }
  };
  mark(config.image_token_id, media.image_hashes, [&](size_t i) { return media.images[i].features.shape()[0]; });
  mark(config.audio_token_id, media.audio_hashes, [&](size_t i) { return media.audio[i].shape()[0]; });
  return marks;
}

// Copies the rows of all features, one after the other, to the rows of `out` that hold `id`.
Result<int> place(const std::vector<int32_t>& ids, int32_t id, const std::vector<const Tensor*>& features, Tensor& out,
                  std::string_view what) {
  const auto places = std::count(ids.begin(), ids.end(), id);
  int64_t rows = 0;
  for (const Tensor* feature : features) rows += feature->shape()[0];
  if (rows != places) {
    return fail(ErrorCode::invalid_argument, "the prompt has " + std::to_string(places) + " places for " + std::string(what) +
                                                 " tokens, but there are " + std::to_string(rows) +
                                                 "; this checkpoint's chat template may not take " + std::string(what));
  }
  size_t at = 0;
  for (const Tensor* feature : features) {
    for (int64_t row = 0; row < feature->shape()[0]; ++row) {
      while (ids[at] != id) ++at;
      std::copy_n(feature->rows().row(row), out.shape()[1], out.rows().row(static_cast<int64_t>(at++)));
    }
  }
  return static_cast<int>(places);
}

}  // namespace

bool Prompt::is_media(int64_t row, const model::ThinkerConfig& config) const {
  const int32_t id = ids[static_cast<size_t>(row)];
  return id == config.audio_token_id || id == config.image_token_id || id == config.video_token_id;
}

void Prompt::forget_rows() {
  embeds = Tensor();
  deepstack.clear();
  image_features.clear();
  audio_features.clear();
}

Result<Prompt> assemble_prompt(const model::Model& model, std::vector<int32_t> ids, EncodedMedia media) {
  const model::ThinkerConfig& config = model.config.thinker;
  Prompt prompt;
  prompt.ids = std::move(ids);
  if (prompt.ids.empty()) return fail(ErrorCode::invalid_argument, "the prompt is empty", "messages");
  TRY_VOID(check_room(prompt.size(), config));
  for (const int32_t id : prompt.ids) {
    if (id < 0 || id >= config.text.vocab_size) {
      return fail(ErrorCode::invalid_argument, "token id " + std::to_string(id) + " is outside the model's vocabulary", "input_ids");
    }
  }
  TRY(prompt.positions, model::rope_positions(prompt.ids, media.grids, config));
  prompt.embeds.resize({prompt.size(), config.text.hidden_size});
  model.thinker.embed(prompt.ids, prompt.embeds.rows());

  std::vector<const Tensor*> images, sounds;
  for (const auto& image : media.images) images.push_back(&image.features);
  for (const auto& sound : media.audio) sounds.push_back(&sound);
  TRY(prompt.image_tokens, place(prompt.ids, config.image_token_id, images, prompt.embeds, "image"));
  TRY(prompt.audio_tokens, place(prompt.ids, config.audio_token_id, sounds, prompt.embeds, "audio"));

  for (int64_t row = 0; row < prompt.size(); ++row) {
    if (prompt.ids[static_cast<size_t>(row)] == config.image_token_id) prompt.visual_rows.push_back(row);
  }
  const bool known = media.images.size() == media.image_hashes.size() && media.audio.size() == media.audio_hashes.size();
  if (known) prompt.marks = marks_of(prompt.ids, media, config);
  const size_t levels = media.images.empty() ? 0 : media.images[0].deepstack.size();
  for (size_t level = 0; level < levels; ++level) {
    Tensor joined({prompt.image_tokens, config.text.hidden_size});
    float* to = joined.data();
    for (const auto& image : media.images) to = std::copy_n(image.deepstack[level].data(), image.deepstack[level].elements(), to);
    prompt.deepstack.push_back(std::move(joined));
  }
  for (auto& image : media.images) prompt.image_features.push_back(std::move(image.features));
  prompt.audio_features = std::move(media.audio);
  prompt.user_grids = std::move(media.grids);
  return prompt;
}

Result<Prompt> build_prompt(const model::Model& model, const assistant::Request& request, MediaCache* cache) {
  TRY(const std::string text, model.chat_template.render(messages_of(model.tokenizer, request), context_of(model.tokenizer, request)));
  TRY(const auto ids, model.tokenizer.encode_prompt(text));
  if (ids.empty()) return fail(ErrorCode::invalid_argument, "the checkpoint's chat template gives an empty prompt", "messages");
  auto coming = media_tokens(model, request);
  if (!coming) return in_messages(std::move(coming).error());
  const auto placeholders = std::ranges::count_if(ids, [&](int32_t id) {
    return id == model.config.thinker.audio_token_id || id == model.config.thinker.image_token_id;
  });
  TRY_VOID(check_room(static_cast<int64_t>(ids.size()) - placeholders + *coming, model.config.thinker));
  auto encoded = encode_media(model, request, cache);
  if (!encoded) return in_messages(std::move(encoded).error());
  EncodedMedia media = *std::move(encoded);
  auto expanded = expand(ids, media, model.config.thinker);
  return assemble_prompt(model, std::move(expanded), std::move(media));
}

}  // namespace calliope::engine
