#include "realtime/outbox.h"

namespace calliope::realtime {

namespace {

size_t weight(const wire::ServerEvent& event) {
  constexpr size_t kOverhead = 256;
  if (const auto* audio = std::get_if<wire::AudioDelta>(&event)) return kOverhead + audio->bytes.size() * 4 / 3;
  if (const auto* text = std::get_if<wire::TextDelta>(&event)) return kOverhead + text->delta.size();
  if (const auto* item = std::get_if<wire::ItemRetrieved>(&event)) {
    size_t bytes = kOverhead;
    for (const auto& part : item->item.content) bytes += part.sound ? part.sound->samples.size() * 4 : part.text.size();
    return bytes;
  }
  return kOverhead;
}

}  // namespace

void Outbox::push(wire::ServerEvent event) {
  bytes_ += weight(event);
  events_.push_back(std::move(event));
}

std::optional<wire::ServerEvent> Outbox::pop() {
  if (events_.empty()) return std::nullopt;
  std::optional<wire::ServerEvent> event(std::move(events_.front()));
  events_.pop_front();
  bytes_ -= weight(*event);
  if (events_.empty()) events_ = {};  // gives the memory back
  return event;
}

void Outbox::drop_audio(std::string_view response_id) {
  std::erase_if(events_, [&](const wire::ServerEvent& event) {
    const auto* audio = std::get_if<wire::AudioDelta>(&event);
    if (audio == nullptr || audio->place.response_id != response_id) return false;
    bytes_ -= weight(event);
    return true;
  });
}

}  // namespace calliope::realtime
