#include "engine/prompt.h"

#include <algorithm>
#include <string>

#include "engine/prompt_builder.h"
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

// The marks of a prompt whose placeholders are expanded.
std::vector<TokenMark> marks_of(const std::vector<int32_t>& ids, const EncodedMedia& media, const model::ThinkerConfig& config) {
  std::vector<TokenMark> marks;
  auto sound = media.audio_marks.begin(), image = media.image_marks.begin();
  for (const int32_t id : ids) {
    marks.push_back(id == config.audio_token_id   ? *sound++
                    : id == config.image_token_id ? *image++
                                                  : TokenMark::token(id));
  }
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

Result<void> check_room(int64_t tokens, const model::ThinkerConfig& config) {
  const int64_t context = config.text.max_position_embeddings;
  if (tokens < context) return {};
  return fail(ErrorCode::too_large,
              "the prompt has " + std::to_string(tokens) + " tokens, which leaves no room in the model's context of " +
                  std::to_string(context) +
                  "; shorten the text, the sounds or the conversation, or send fewer pictures",
              "messages");
}

Result<std::vector<int32_t>> prompt_ids(const model::Model& model, const assistant::Request& request) {
  TRY(const std::string text, model.chat_template.render(messages_of(model.tokenizer, request), context_of(model.tokenizer, request)));
  TRY(auto ids, model.tokenizer.encode_prompt(text));
  if (ids.empty())
    return fail(ErrorCode::invalid_argument, "the checkpoint's chat template gives an empty prompt", "messages");
  return ids;
}

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
  if (media.known) prompt.marks = marks_of(prompt.ids, media, config);
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
  PromptBuilder builder(model, cache);
  TRY_VOID(builder.begin(request, {}));
  for (;;) {
    TRY(const bool stepped, builder.step());
    if (!stepped) return builder.prompt();
  }
}

}  // namespace calliope::engine
