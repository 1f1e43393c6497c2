// What clients ask for.
#include <fmt/format.h>

#include <algorithm>

#include "realtime/conversation.h"

namespace calliope::realtime {

using Detection = wire::TurnDetection;
using assistant::Role;

namespace {

constexpr int64_t kShortestCommit = InputBuffer::kRate / 10;

}  // namespace

void Conversation::on(wire::UpdateSession event) {
  const auto kind = session_.turn_detection.kind;
  session_ = std::move(event.session);
  if (session_.turn_detection.kind != kind) {
    abandon_turn();
    detector_.reset();
  }
  shared_.outbox.push(wire::SessionUpdated{session_, session_id_, expires_at_s_});
}

void Conversation::on(wire::AppendInput event) {
  const bool detects = session_.turn_detection.kind != Detection::Kind::none;
  const auto waiting = static_cast<size_t>(input_.end() - input_.begin());
  if (!detects && waiting > settings_.input_samples) {
    return error(ErrorCode::too_large,
                 fmt::format("The input audio buffer holds {} s already: commit or clear it first.",
                             waiting / InputBuffer::kRate),
                 "audio", "input_audio_buffer_full");
  }
  const size_t samples = event.bytes.size() / media::wire_sample_bytes(session_.input_format) * InputBuffer::kRate /
                         static_cast<size_t>(media::wire_rate(session_.input_format));
  if (!make_room(samples * sizeof(float))) {
    if (now_ < complained_ + std::chrono::seconds(1)) return;  // sound comes 50 times a second
    complained_ = now_;
    return refuse_for_memory("the sound", "audio");
  }
  if (detects && !detector_) detector_ = std::make_unique<TurnDetector>(input_.end());
  if (turn_) turn_->heard_at = now_;
  if (!detects) return input_.append(event.bytes, session_.input_format);
  // A second at a time, so that a long sound is looked at as it would be if it came live.
  const size_t second =
      media::wire_sample_bytes(session_.input_format) * static_cast<size_t>(media::wire_rate(session_.input_format));
  for (size_t at = 0; at < event.bytes.size(); at += second) {
    input_.append(std::span(event.bytes).subspan(at, std::min(second, event.bytes.size() - at)), session_.input_format);
    detect();
  }
}

void Conversation::on(const wire::CommitInput&) {
  const int64_t begin = turn_ ? turn_->begin : input_.begin();
  if (input_.end() - begin < kShortestCommit) {
    return error(ErrorCode::invalid_argument,
                 fmt::format("The input audio buffer is too small to commit: at least 100 ms are needed, it has {} ms.",
                             ms_of(input_.end() - begin)),
                 {}, "input_audio_buffer_commit_empty");
  }
  auto sound = recorded(begin, input_.end());
  std::string item_id = shared_.id("item_");
  if (turn_) {
    item_id = turn_->item_id;
    shared_.outbox.push(wire::SpeechStopped{item_id, ms_of(input_.end())});
    abandon_turn();
  }
  input_.drop_until(input_.end());
  detector_.reset();
  commit(item_id, std::move(sound));
}

void Conversation::on(const wire::ClearInput&) {
  abandon_turn();
  input_.drop_until(input_.end());
  detector_.reset();
  shared_.outbox.push(wire::InputCleared{});
}

void Conversation::on(const wire::ClearOutput&) {
  const Answer* answer = active();
  const std::string id = answer_ ? answer_->id() : std::string();
  if (answer != nullptr) {
    interrupt("client_cancelled");
    cut_.reset();
  }
  shared_.outbox.push(wire::OutputCleared{id});
}

/// Has the sounds and pictures of an item count for as long as anybody holds them.
void Conversation::count_media(wire::Item& item) const {
  const auto count = [this]<class Medium>(std::shared_ptr<const Medium>& medium, size_t bytes) {
    auto counted = std::make_shared<Counted<std::shared_ptr<const Medium>>>(settings_.memory);
    counted->value = std::move(medium);
    counted->memory.set(bytes);
    medium = counted->part(counted, *counted->value);
  };
  for (wire::Content& part : item.content) {
    if (part.sound) count(part.sound, part.sound->samples.size() * sizeof(float));
    if (part.image) count(part.image, part.image->rgb.size());
  }
}

void Conversation::on(wire::CreateItem event) {
  wire::Item& item = event.item;
  if (item.id.empty()) item.id = shared_.id("item_");
  if (item.kind == wire::Item::Kind::function_call && item.call.id.empty()) item.call.id = shared_.id("call_");
  if (item.kind == wire::Item::Kind::function_call_output) {
    const auto asks = [&](const wire::Item& other) {
      return other.kind == wire::Item::Kind::function_call && other.call.id == item.call.id;
    };
    if (std::ranges::none_of(shared_.items.all(), asks)) {
      return error(
          ErrorCode::not_found,
          fmt::format("Invalid value for 'item.call_id': the conversation has no function call '{}'.", item.call.id),
          "item.call_id", "invalid_tool_call_id");
    }
  }
  if (!make_room(bytes_of(item))) return refuse_for_memory("the item", "item");
  count_media(item);
  const wire::Item shown = item;
  const auto before = shared_.items.insert(std::move(item), event.previous_item_id);
  if (!before) return error(before.error().code, before.error().message, before.error().field);
  shared_.outbox.push(wire::ItemAdded{shown, *before});
  shared_.outbox.push(wire::ItemDone{shown, *before});
}

void Conversation::on(const wire::DeleteItem& event) {
  if (const Answer* answer = active(); answer != nullptr && answer->item_id() == event.item_id) {
    interrupt("client_cancelled");
    cut_.reset();
  }
  if (!shared_.items.remove(event.item_id)) {
    return error(ErrorCode::not_found, fmt::format("There is no item '{}' to delete.", event.item_id), "item_id",
                 "item_delete_invalid_item_id");
  }
  spoken_.erase(event.item_id);
  shared_.outbox.push(wire::ItemDeleted{event.item_id});
}

void Conversation::on(const wire::RetrieveItem& event) {
  const wire::Item* item = shared_.items.find(event.item_id);
  if (item == nullptr) {
    return error(ErrorCode::not_found, fmt::format("There is no item '{}' to retrieve.", event.item_id), "item_id",
                 "item_retrieve_invalid_item_id");
  }
  shared_.outbox.push(wire::ItemRetrieved{*item, session_.input_format});
}

void Conversation::on(const wire::TruncateItem& event) {
  const auto refuse = [&](std::string message, std::string field, ErrorCode code = ErrorCode::invalid_argument) {
    error(code, std::move(message), std::move(field),
          code == ErrorCode::not_found ? "item_truncate_invalid_item_id" : "");
  };
  if (shared_.items.find(event.item_id) == nullptr) {
    return refuse(fmt::format("There is no item '{}' to truncate.", event.item_id), "item_id", ErrorCode::not_found);
  }
  const auto found = spoken_.find(event.item_id);
  if (found == spoken_.end()) {
    return refuse("Invalid value for 'item_id': only what the assistant said aloud can be truncated.", "item_id");
  }
  if (event.content_index != 0) return refuse("Invalid value for 'content_index': expected 0.", "content_index");
  const auto answer = found->second;
  if (answer.get() == active()) interrupt("client_cancelled");
  constexpr int kPerMs = assistant::kSpeechSampleRate / 1000;
  const int64_t sent_ms = (answer->sent_samples() + kPerMs - 1) / kPerMs;
  if (event.audio_end_ms > sent_ms) {
    return refuse(
        fmt::format("Invalid value for 'audio_end_ms': {} ms of this item's sound were sent, which is less than {} ms.",
                    sent_ms, event.audio_end_ms),
        "audio_end_ms");
  }
  const Heard at = answer->cut(std::min(event.audio_end_ms * kPerMs, answer->sent_samples()));
  if (answer == answer_) {
    cut_ = at;
    playback_end_ = now_;
    if (turn_) turn_->interrupted = true;
  }
  shared_.outbox.push(wire::ItemTruncated{event.item_id, event.content_index, event.audio_end_ms});
}

void Conversation::on(wire::CreateResponse event) {
  wire::ResponseParams& params = event.params;
  if (session_.transcription_only) {
    return error(ErrorCode::unsupported, "A transcription session gives no responses.", {},
                 "response_create_not_allowed");
  }
  if (draining_) return error(ErrorCode::unavailable, "The server is stopping.", {}, "server_stopping");
  if (!params.out_of_band && active() != nullptr) {
    return error(
        ErrorCode::invalid_argument,
        fmt::format(
            "Conversation already has an active response in progress: {}. Wait until it is finished, or cancel it.",
            answer_->id()),
        {}, "conversation_already_has_active_response");
  }
  if (params.out_of_band && others_.size() >= settings_.responses_at_once) {
    return error(ErrorCode::unavailable, fmt::format("At most {} responses at once.", settings_.responses_at_once), {},
                 "rate_limit_exceeded");
  }
  AnswerPlan plan = this->plan(params);
  if (params.input) {
    std::vector<const wire::Item*> items;
    std::vector<assistant::SoundPart> held;  // of what is referred to: not forgotten for what is given
    size_t given_bytes = 0;
    for (size_t i = 0; i < params.input->size(); ++i) {
      const wire::Item& given = params.input->at(i);
      given_bytes += bytes_of(given);
      const bool refers = given.kind == wire::Item::Kind::reference;
      const wire::Item* item = refers ? shared_.items.find(given.id) : &given;
      if (item == nullptr) {
        return error(ErrorCode::not_found, fmt::format("There is no item '{}' in the conversation.", given.id),
                     fmt::format("response.input[{}].id", i));
      }
      items.push_back(item);
      for (const wire::Content& part : item->content) {
        if (refers && part.sound) held.push_back(part.sound);
      }
    }
    if (!make_room(given_bytes)) return refuse_for_memory("the input", "response.input");
    for (wire::Item& given : *params.input) count_media(given);
    plan.request.turns = turns_of(plan.instructions, items);
  } else {
    plan.request.turns = shared_.items.turns(plan.instructions);
  }
  if (plan.request.turns.empty()) {
    return error(ErrorCode::invalid_argument,
                 "There is nothing to respond to: the conversation is empty, and there are no instructions.", {},
                 "empty_conversation");
  }
  const auto answer = std::make_shared<Answer>(shared_, std::move(plan));
  if (params.out_of_band) {
    others_.push_back(answer);
    answer->begin();
  } else {
    begin_answer(answer);
  }
  ask(answer);
}

void Conversation::on(const wire::CancelResponse& event) {
  if (event.response_id) {
    for (const auto& other : others_) {
      if (other->id() != *event.response_id) continue;
      stop_runs(*other);
      return other->cancel("client_cancelled");
    }
  }
  const Answer* answer = active();
  if (answer == nullptr || (event.response_id && *event.response_id != answer->id())) {
    return error(ErrorCode::invalid_argument, "Cancellation failed: no active response found.",
                 event.response_id ? "response_id" : "", "response_cancel_not_active");
  }
  interrupt("client_cancelled");
  cut_.reset();  // on purpose: it does not go on
}

}  // namespace calliope::realtime
