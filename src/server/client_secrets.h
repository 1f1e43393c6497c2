#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "api/realtime_types.h"

namespace calliope::server {

/// Secrets that open realtime sessions for a while, each bound to what its sessions are set to; at most kMost of them.
class ClientSecrets {
 public:
  static constexpr size_t kMost = 10'000;

  /// Keeps a secret until a time, in seconds since 1970. False when there are too many.
  bool keep(std::string secret, api::realtime::Session session, int64_t until_s, int64_t now_s);
  /// What the sessions of a secret are set to; none when it is unknown or has expired.
  std::optional<api::realtime::Session> find(std::string_view secret, int64_t now_s) const;

 private:
  struct Entry {
    api::realtime::Session session;
    int64_t until_s = 0;
  };
  mutable std::mutex mutex_;
  std::map<std::string, Entry, std::less<>> entries_;
};

}  // namespace calliope::server
