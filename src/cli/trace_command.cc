#include <cstdio>

#include "api/chat_request.h"
#include "cli/commands.h"
#include "cli/media_files.h"
#include "engine/prompt.h"
#include "engine/trace.h"
#include "model/model.h"
#include "tensor/safetensors.h"

namespace calliope::cli {
namespace {

constexpr int kSpokenTokens = 1024;  // to speak, when the length is not given: the reference's thinker_max_new_tokens

Result<engine::Prompt> prompt_of(const model::Model& model, const TraceOptions& options,
                                 engine::TraceRequest& request) {
  if (!options.inputs.empty()) {
    TRY(const auto inputs, tensor::SafetensorsFile::open(options.inputs));
    return engine::prompt_from_tensors(model, inputs);
  }
  if (options.request.empty()) {
    return fail(ErrorCode::invalid_argument, "give --inputs FILE.safetensors or --request CHAT.json");
  }
  TRY(const std::string body, model::read_file(options.request));
  const auto decoder = make_media_decoder();
  const auto chat = api::parse_chat(body, {.decoder = *decoder});
  if (!chat) return fail(chat.error().code, options.request + ": " + chat.error().message, chat.error().field);
  request.voice = chat->request.voice;
  return engine::build_prompt(model, chat->request);
}

Result<void> trace(const TraceOptions& options) {
  TRY_VOID(check_writable(options.out));
  TRY(const auto model, model::load_model(options.model.empty() ? default_model() : options.model));
  engine::TraceRequest request{.max_tokens = options.max_tokens, .speak = options.speak};
  if (options.speak && options.max_tokens == 0) request.max_tokens = kSpokenTokens;
  TRY(auto prompt, prompt_of(*model, options, request));
  TRY(const auto trace, engine::trace(*model, std::move(prompt), request));
  const auto views = trace.views();
  TRY_VOID(tensor::save_safetensors(options.out, views, {{"format", "pt"}}));
  for (const auto& [name, view] : views) {
    std::printf("%-18s %-4s %s\n", name.c_str(), std::string(tensor::name_of(view.dtype)).c_str(),
                view.shape.text().c_str());
  }
  return {};
}

}  // namespace

int run_trace(const TraceOptions& options) {
  if (auto traced = trace(options); !traced) return complain("trace", traced.error());
  return 0;
}

}  // namespace calliope::cli
