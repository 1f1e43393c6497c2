#include "api/model_name.h"

#include <fmt/format.h>

#include <algorithm>

namespace calliope::api {

Result<std::string> served_model(const JsonReader& field, std::span<const std::string> models) {
  if (field.missing()) return models.empty() ? std::string() : models.front();
  TRY(const std::string_view name, field.string());
  if (models.empty() || std::ranges::find(models, name) != models.end()) return std::string(name);
  return fail(ErrorCode::not_found,
              fmt::format("The model '{}' does not exist; this server has: {}.", name, fmt::join(models, ", ")),
              "model");
}

}  // namespace calliope::api
