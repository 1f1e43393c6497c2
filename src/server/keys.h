#pragma once

#include <openssl/crypto.h>

#include <string>
#include <string_view>
#include <vector>

namespace calliope::server {

inline bool same_key(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

/// Takes the same time wherever in the list the key is.
inline bool is_one_of(std::string_view key, const std::vector<std::string>& keys) {
  bool found = false;
  for (const std::string& known : keys) found |= same_key(known, key);
  return found;
}

}  // namespace calliope::server
