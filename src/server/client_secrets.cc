#include "server/client_secrets.h"

namespace calliope::server {

bool ClientSecrets::keep(std::string secret, api::realtime::Session session, int64_t until_s, int64_t now_s) {
  const std::lock_guard lock(mutex_);
  if (entries_.size() >= kMost) {
    std::erase_if(entries_, [&](const auto& entry) { return entry.second.until_s <= now_s; });
    if (entries_.size() >= kMost) return false;
  }
  entries_.insert_or_assign(std::move(secret), Entry{std::move(session), until_s});
  return true;
}

std::optional<api::realtime::Session> ClientSecrets::find(std::string_view secret, int64_t now_s) const {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(secret);
  if (found == entries_.end() || found->second.until_s <= now_s) return std::nullopt;
  return found->second.session;
}

}  // namespace calliope::server
