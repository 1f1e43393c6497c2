#pragma once

#include <span>
#include <string_view>

namespace calliope::server {

/// A file of web/, which the build puts into the program (cmake/embed_web.cmake).
struct WebAsset {
  std::string_view path;  ///< as requested: /app.js; the page itself is /
  std::string_view content_type;
  std::string_view etag;
  std::string_view bytes;
};

std::span<const WebAsset> web_assets();

/// The file for a path, or null.
inline const WebAsset* find_web_asset(std::string_view path) {
  if (path == "/index.html") path = "/";
  for (const WebAsset& asset : web_assets()) {
    if (asset.path == path) return &asset;
  }
  return nullptr;
}

}  // namespace calliope::server
