#include "realtime/items.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace calliope::realtime {

using assistant::Role;
using assistant::Turn;
using Kind = wire::Content::Kind;

namespace {

struct Cost {
  size_t text = 0, sound = 0, picture = 0;
};

Cost cost(const wire::Item& item) {
  Cost sum{.text = item.call.arguments.size() + item.output.size() + 64};
  for (const wire::Content& part : item.content) {
    sum.text += part.text.size();
    if (part.sound) sum.sound += part.sound->samples.size();
    if (part.image) sum.picture += part.image->rgb.size();
  }
  return sum;
}

void add_message(const wire::Item& item, std::vector<Turn>& turns) {
  Turn turn{.role = item.role};
  for (const wire::Content& part : item.content) {
    if (part.kind == Kind::input_audio && part.sound) {
      turn.parts.emplace_back(part.sound);
    } else if (part.kind == Kind::input_image && part.image) {
      turn.parts.emplace_back(part.image);
    } else if (!part.text.empty()) {
      turn.parts.emplace_back(part.text);
    }
  }
  if (turn.parts.empty()) return;
  if (item.role == Role::assistant && !turns.empty() && turns.back().role == Role::assistant &&
      turns.back().tool_calls.empty()) {
    // What was interrupted and went on is one answer to the model.
    auto* before = turns.back().parts.empty() ? nullptr : std::get_if<std::string>(&turns.back().parts.back());
    const auto* after = std::get_if<std::string>(&turn.parts.front());
    if (before != nullptr && after != nullptr && turn.parts.size() == 1) {
      *before += *after;
      return;
    }
  }
  turns.push_back(std::move(turn));
}

}  // namespace

std::vector<Turn> turns_of(std::string_view instructions, const std::vector<const wire::Item*>& items) {
  std::vector<Turn> turns;
  if (!instructions.empty()) turns.push_back({.role = Role::system, .parts = {std::string(instructions)}});
  for (const wire::Item* item : items) {
    switch (item->kind) {
      case wire::Item::Kind::message: add_message(*item, turns); break;
      case wire::Item::Kind::function_call:
        if (turns.empty() || turns.back().role != Role::assistant) turns.push_back({.role = Role::assistant});
        turns.back().tool_calls.push_back(item->call);
        break;
      case wire::Item::Kind::function_call_output:
        turns.push_back({.role = Role::tool, .parts = {item->output}, .tool_call_id = item->call.id});
        break;
      case wire::Item::Kind::reference: break;
    }
  }
  return turns;
}

size_t bytes_of(const wire::Item& item) {
  const Cost all = cost(item);
  return sizeof item + all.text + all.picture + all.sound * sizeof(float);
}

Result<void> Items::account(const wire::Item& item) {
  const Cost added = cost(item);
  const auto over = [](std::string_view what) {
    return fail(ErrorCode::too_large, fmt::format("The conversation holds too {}; delete items first.", what), "item");
  };
  if (items_.size() >= limits_.items) return over("many items");
  if (text_bytes_ + added.text > limits_.text_bytes) return over("much text");
  if (picture_bytes_ + added.picture > limits_.picture_bytes) return over("many pixels");
  text_bytes_ += added.text;
  picture_bytes_ += added.picture;
  sound_samples_ += added.sound;
  return {};
}

Result<std::string> Items::insert(wire::Item item, const std::optional<std::string>& previous) {
  if (find(item.id) != nullptr) {
    return fail(ErrorCode::invalid_argument, fmt::format("Invalid value for 'item.id': '{}' is taken.", item.id),
                "item.id");
  }
  auto place = items_.end();
  if (previous && *previous == "root") {
    place = items_.begin();
  } else if (previous) {
    place = std::ranges::find(items_, *previous, &wire::Item::id);
    if (place == items_.end()) {
      return fail(ErrorCode::not_found,
                  fmt::format("Invalid value for 'previous_item_id': there is no item '{}'.", *previous),
                  "previous_item_id");
    }
    ++place;
  }
  TRY_VOID(account(item));
  const std::string before = place == items_.begin() ? std::string() : (place - 1)->id;
  if (static_cast<size_t>(place - items_.begin()) < first_) ++first_;
  items_.insert(place, std::move(item));
  while (sound_samples_ > limits_.sound_samples && forget_oldest_sound()) {
  }
  return before;
}

/// Its transcript, when it has any, stays.
bool Items::forget_oldest_sound(Which which) {
  for (size_t i = 0; i + 1 < items_.size(); ++i) {
    for (wire::Content& part : items_[i].content) {
      if (!part.sound || (which == Which::freed && part.sound.use_count() != 1)) continue;
      sound_samples_ -= part.sound->samples.size();
      part.sound = nullptr;
      return true;
    }
  }
  return false;
}

size_t Items::old_sound_bytes() const {
  size_t sum = 0;
  for (size_t i = 0; i + 1 < items_.size(); ++i) {
    for (const wire::Content& part : items_[i].content) {
      if (part.sound.use_count() == 1) sum += part.sound->samples.size() * sizeof(float);
    }
  }
  return sum;
}

wire::Item* Items::find(std::string_view id) {
  const auto found = std::ranges::find(items_, id, &wire::Item::id);
  return found == items_.end() ? nullptr : &*found;
}

bool Items::remove(std::string_view id) {
  const auto found = std::ranges::find(items_, id, &wire::Item::id);
  if (found == items_.end()) return false;
  const Cost freed = cost(*found);
  text_bytes_ -= std::min(text_bytes_, freed.text);
  picture_bytes_ -= freed.picture;
  sound_samples_ -= freed.sound;
  if (static_cast<size_t>(found - items_.begin()) < first_) --first_;
  items_.erase(found);
  return true;
}

bool Items::shorten(double share) {
  const size_t left = items_.size() - first_;
  if (left <= 1) return false;
  first_ += std::clamp<size_t>(static_cast<size_t>(std::ceil(static_cast<double>(left) * share)), 1, left - 1);
  // A tool's answer does not stand without its call.
  while (first_ + 1 < items_.size() && items_[first_].kind == wire::Item::Kind::function_call_output) ++first_;
  return true;
}

std::vector<Turn> Items::turns(std::string_view instructions) const {
  std::vector<const wire::Item*> shown;
  for (size_t i = 0; i < items_.size(); ++i) {
    const bool system = items_[i].kind == wire::Item::Kind::message && items_[i].role == Role::system;
    if (i >= first_ || system) shown.push_back(&items_[i]);
  }
  return turns_of(instructions, shown);
}

}  // namespace calliope::realtime
