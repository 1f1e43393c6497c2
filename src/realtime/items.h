#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/realtime_types.h"
#include "assistant/request.h"
#include "realtime/settings.h"

namespace calliope::realtime {

namespace wire = api::realtime;

/// The items of a conversation, in their order.
class Items {
 public:
  explicit Items(ItemLimits limits) : limits_(limits) {}

  /// Puts an item behind `previous`: none for the end, "root" for the beginning. Gives the id of the one before it,
  /// empty at the beginning. Errors: an unknown `previous`, an id that is taken, a limit.
  Result<std::string> insert(wire::Item item, const std::optional<std::string>& previous = {});
  wire::Item* find(std::string_view id);
  bool remove(std::string_view id);
  /// Of the last item; empty when there is none.
  std::string last_id() const { return items_.empty() ? std::string() : items_.back().id; }
  const std::vector<wire::Item>& all() const { return items_; }

  /// Of which sounds the oldest is forgotten: any, or those whose memory that frees, as nobody else holds them.
  enum class Which { any, freed };
  /// Forgets the oldest sound, but none of the last item. False when there is none.
  bool forget_oldest_sound(Which which = Which::any);
  /// What forgetting all of these would free.
  size_t old_sound_bytes() const;
  /// What all of them take in memory beside sounds and pictures, which count by themselves (Counted).
  size_t bytes() const { return items_.size() * sizeof(wire::Item) + text_bytes_; }

  /// Leaves `share` of what a prompt held so far out of the next ones, the oldest first. False when nothing is left to
  /// leave out.
  bool shorten(double share);
  /// What the model reads: from where shorten() led.
  std::vector<assistant::Turn> turns(std::string_view instructions) const;

 private:
  Result<void> account(const wire::Item& item);

  const ItemLimits limits_;
  std::vector<wire::Item> items_;
  size_t first_ = 0;  ///< of a prompt
  size_t sound_samples_ = 0, picture_bytes_ = 0, text_bytes_ = 0;
};

/// What one takes in memory.
size_t bytes_of(const wire::Item& item);

/// Items as turns. Neighbours of the assistant become one turn.
std::vector<assistant::Turn> turns_of(std::string_view instructions, const std::vector<const wire::Item*>& items);

}  // namespace calliope::realtime
