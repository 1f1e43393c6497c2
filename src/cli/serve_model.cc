#include <filesystem>
#include <utility>

#include "base/thread_pool.h"
#include "cli/commands.h"
#include "cli/media_files.h"
#include "cli/serve_command.h"
#include "engine/engine.h"

namespace calliope::cli {
namespace {

// The folder's own name, as in models/calliope-nano.
std::string served_name(const std::string& folder) {
  const std::filesystem::path path = std::filesystem::path(folder).lexically_normal();
  const std::string name = (path.has_filename() ? path.filename() : path.parent_path().filename()).string();
  return name.empty() || name == "." || name == ".." ? "calliope" : name;
}

Result<Answerer> open_model(const ServeOptions& options) {
  if (options.threads > 0) set_thread_count(options.threads);
  const std::string folder = options.model.empty() ? default_model() : options.model;
  TRY(auto model, model::load_model(folder));
  TRY_VOID(model::check_chat_tokens(*model));
  return Answerer{std::make_shared<engine::Engine>(std::move(model), engine::EngineOptions{.model_name = served_name(folder)}),
                  make_media_decoder()};
}

}  // namespace

int run_serve(const ServeOptions& options) { return serve(options, open_model); }

}  // namespace calliope::cli
