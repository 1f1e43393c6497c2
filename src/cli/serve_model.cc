#include <filesystem>
#include <utility>

#include "base/thread_pool.h"
#include "cli/commands.h"
#include "cli/media_files.h"
#include "cli/serve_command.h"
#include "engine/engine.h"

namespace calliope::cli {
namespace {

// The folder's own name, as in models/calliope-nano; a GGUF file's without its ending.
std::string served_name(const std::string& folder) {
  std::filesystem::path path = std::filesystem::path(folder).lexically_normal();
  if (path.extension() == ".gguf") path.replace_extension();
  const std::string name = (path.has_filename() ? path.filename() : path.parent_path().filename()).string();
  return name.empty() || name == "." || name == ".." ? "calliope" : name;
}

Result<Answerer> open_model(const ServeOptions& options) {
  if (options.threads > 0) set_thread_count(options.threads);
  const std::string folder = options.model.empty() ? default_model() : options.model;
  TRY(auto model, model::load_model(folder));
  TRY_VOID(model::check_chat_tokens(*model));
  const engine::KvOptions kv{.bytes = static_cast<size_t>(options.kv_memory_mib) << 20,
                             .dtype = kv_type_by_name(options.kv_type)};
  TRY_VOID(engine::Engine::check_memory(*model, kv));
  engine::EngineOptions engine_options{.model_name = served_name(folder),
                                       .max_wait_s = static_cast<double>(options.max_wait_s),
                                       .kv = kv};
  return Answerer{std::make_shared<engine::Engine>(std::move(model), std::move(engine_options)), make_media_decoder()};
}

}  // namespace

int run_serve(const ServeOptions& options) { return serve(options, open_model); }

}  // namespace calliope::cli
