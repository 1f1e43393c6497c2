#include "realtime/answer.h"

#include <algorithm>
#include <random>
#include <utility>

#include "base/check.h"

namespace calliope::realtime {

using assistant::FinishReason;
using Status = wire::ResponseView::Status;
using Kind = wire::Content::Kind;

namespace {

constexpr size_t kLongestDeltaBytes = 48'000;  ///< a second of sound

}  // namespace

std::string Shared::id(std::string_view prefix) {
  static constexpr char kLetters[] = "abcdefghijklmnopqrstuvwxyz0123456789";
  thread_local std::mt19937_64 random{std::random_device{}()};
  std::string id(prefix);
  for (int i = 0; i < 20; ++i) id.push_back(kLetters[random() % 36]);
  return id;
}

size_t text_bytes(const assistant::Request& request) {
  size_t bytes = 0;
  for (const auto& turn : request.turns) {
    for (const auto& part : turn.parts) {
      if (const auto* text = std::get_if<std::string>(&part)) bytes += text->size();
    }
  }
  return bytes;
}

Answer::Answer(Shared& shared, AnswerPlan plan)
    : shared_(shared),
      request_(std::move(plan.request)),
      view_(std::move(plan.view)),
      instructions_(std::move(plan.instructions)),
      out_of_band_(plan.out_of_band) {
  view_.id = shared_.id("resp_");
  request_.id = view_.id;
  request_bytes_ = text_bytes(request_);
  if (!out_of_band_) view_.conversation_id = shared_.conversation_id;
}

Answer::Answer(Shared& shared, const Answer& before, Heard from)
    : shared_(shared),
      request_(before.request_),
      view_(before.view_),
      instructions_(before.instructions_),
      out_of_band_(false),
      resumed_(true),
      complete_(before.complete_),
      request_bytes_(before.request_bytes_),
      said_(before.said_),
      marks_(before.marks_),
      sound_(before.sound_),
      sound_samples_(before.sound_samples_),
      base_(from),
      replay_calls_(before.replay_calls_ + before.calls_) {
  view_.id = shared_.id("resp_");
  view_.status = Status::in_progress;
  view_.reason.clear();
  view_.output.clear();
  view_.usage.reset();
  request_.id = view_.id;
}

int64_t Answer::samples_of(size_t bytes) const {
  const auto format = view_.output_format;
  return static_cast<int64_t>(bytes / media::wire_sample_bytes(format)) *
         (assistant::kSpeechSampleRate / media::wire_rate(format));
}

wire::Place Answer::place() const {
  return {.response_id = view_.id, .item_id = message_.id, .output_index = message_index_, .content_index = 0};
}

void Answer::begin() {
  CHECK(!begun_);
  begun_ = true;
  shared_.outbox.push(wire::ResponseCreated{view_});
  if (resumed_) {  // what is known of the rest
    open_message();
    const std::string rest = said_.substr(base_.text_bytes);
    if (!rest.empty()) {
      shared_.outbox.push(wire::TextDelta{place(), view_.speak, rest});
      message_.content[0].text = rest;
    }
    const auto per_sample = samples_of(media::wire_sample_bytes(view_.output_format));
    const auto heard_bytes =
        static_cast<size_t>(base_.samples / per_sample) * media::wire_sample_bytes(view_.output_format);
    emit_sound(std::span(sound_).subspan(std::min(sound_.size(), heard_bytes)));
    replay_text_ = said_.size();
    replay_sound_ = sound_.size();
  }
  auto waiting = std::exchange(waiting_, {});
  waiting_bytes_ = 0;
  for (auto& event : waiting) on_event(std::move(event));
}

void Answer::on_event(assistant::Event event) {
  if (ended_) return;
  if (!begun_) {
    const auto* audio = std::get_if<assistant::AudioDelta>(&event);
    waiting_bytes_ += sizeof event + (audio != nullptr ? audio->samples.size() * sizeof(float) : 0);
    waiting_.push_back(std::move(event));
    return;
  }
  if (auto* text = std::get_if<assistant::TextDelta>(&event)) {
    say(text->text);
  } else if (auto* audio = std::get_if<assistant::AudioDelta>(&event)) {
    sound(audio->samples);
  } else if (const auto* mark = std::get_if<assistant::SpokenMark>(&event)) {
    if (marks_.empty() || mark->samples > marks_.back().samples) marks_.push_back(*mark);
  } else if (auto* called = std::get_if<assistant::ToolCalled>(&event)) {
    if (replay_calls_ == 0) return call(std::move(called->call));
    --replay_calls_;
  } else if (auto* failed = std::get_if<assistant::Failed>(&event)) {
    fail(std::move(failed->error));
  } else if (const auto* finished = std::get_if<assistant::Finished>(&event)) {
    if (finished->reason == FinishReason::cancelled) {
      return fail({ErrorCode::unavailable, "The server stopped before the answer was complete."});
    }
    complete_ = true;
    if (resampler_) {
      std::vector<float> rest;
      resampler_->finish(rest);
      std::vector<uint8_t> bytes;
      media::to_wire(rest, view_.output_format, bytes);
      emit_sound(bytes);
    }
    const bool length = finished->reason == FinishReason::length;
    finish(length ? Status::incomplete : Status::completed, length ? "max_output_tokens" : "", finished->usage);
  }
}

bool Answer::refused_early() const {
  const auto* failed = begun_ || waiting_.size() != 1 ? nullptr : std::get_if<assistant::Failed>(&waiting_[0]);
  if (failed == nullptr) return false;
  return failed->error.code == ErrorCode::unavailable || failed->error.code == ErrorCode::too_large;
}

/// Text of the answer; of one that runs again, what is known already is left out.
void Answer::say(std::string_view text) {
  if (replay_text_ > 0) {
    const size_t known = std::min(replay_text_, text.size());
    const size_t at = said_.size() - replay_text_;
    if (said_.compare(at, known, text.substr(0, known)) != 0) {
      // The same question drew other words: the known part is the whole answer then.
      complete_ = true;
      return finish(Status::completed, "", {});
    }
    replay_text_ -= known;
    text.remove_prefix(known);
  }
  if (text.empty()) return;
  open_message();
  said_ += text;
  message_.content[0].text += text;
  shared_.outbox.push(wire::TextDelta{place(), view_.speak, std::string(text)});
}

void Answer::sound(std::span<const float> samples) {
  const int rate = media::wire_rate(view_.output_format);
  std::vector<float> resampled;
  if (rate != assistant::kSpeechSampleRate) {
    if (!resampler_) resampler_ = std::make_unique<media::Resampler>(assistant::kSpeechSampleRate, rate);
    resampler_->push(samples, resampled);
    samples = resampled;
  }
  std::vector<uint8_t> bytes;
  media::to_wire(samples, view_.output_format, bytes);
  std::span<const uint8_t> fresh = bytes;
  const size_t known = std::min(replay_sound_, fresh.size());
  replay_sound_ -= known;
  fresh = fresh.subspan(known);
  if (fresh.empty()) return;
  open_message();
  sound_.insert(sound_.end(), fresh.begin(), fresh.end());
  sound_samples_ += samples_of(fresh.size());
  emit_sound(fresh);
}

void Answer::emit_sound(std::span<const uint8_t> bytes) {
  while (!bytes.empty()) {
    const auto piece = bytes.first(std::min(bytes.size(), kLongestDeltaBytes));
    shared_.outbox.push(wire::AudioDelta{place(), {piece.begin(), piece.end()}});
    bytes = bytes.subspan(piece.size());
  }
}

void Answer::open_message() {
  if (message_open_) return;
  message_open_ = true;
  message_index_ = outputs_++;
  message_ = {.id = shared_.id("item_"), .status = wire::ItemStatus::in_progress, .role = assistant::Role::assistant};
  shared_.outbox.push(wire::OutputItemAdded{place(), message_});
  message_.content = {{.kind = view_.speak ? Kind::output_audio : Kind::output_text}};
  if (!out_of_band_) {
    if (const auto before = shared_.items.insert(message_)) {
      wire::Item shown = message_;
      shown.content.clear();
      shared_.outbox.push(wire::ItemAdded{std::move(shown), *before});
    }
  }
  shared_.outbox.push(wire::PartAdded{place(), message_.content[0]});
}

void Answer::close_message() {
  if (!message_open_) return;
  message_open_ = false;
  const wire::Content& part = message_.content[0];
  if (view_.speak) shared_.outbox.push(wire::AudioDone{place()});
  shared_.outbox.push(wire::TextDone{place(), view_.speak, part.text});
  shared_.outbox.push(wire::PartDone{place(), part});
  shared_.outbox.push(wire::OutputItemDone{place(), message_});
  if (!out_of_band_) {
    if (wire::Item* item = shared_.items.find(message_.id)) {
      item->status = message_.status;
      item->content = message_.content;
      const auto& all = shared_.items.all();
      const auto at = static_cast<size_t>(item - all.data());
      shared_.outbox.push(wire::ItemDone{message_, at == 0 ? std::string() : all[at - 1].id});
    }
  }
  view_.output.insert(view_.output.begin() + message_index_, message_);
}

/// What was written before a call is still being said after it: a spoken message stays open to the end of the answer.
void Answer::call(assistant::ToolCall call) {
  if (message_open_ && !view_.speak) {
    message_.status = wire::ItemStatus::completed;
    close_message();
  }
  ++calls_;
  if (call.id.empty()) call.id = shared_.id("call_");
  wire::Item item{
      .kind = wire::Item::Kind::function_call, .id = shared_.id("item_"), .status = wire::ItemStatus::in_progress};
  item.call = {.id = call.id, .name = call.name};
  const wire::Place at{.response_id = view_.id, .item_id = item.id, .output_index = outputs_++};
  shared_.outbox.push(wire::OutputItemAdded{at, item});
  std::string before;
  wire::Item whole = item;
  whole.call = call;
  whole.status = wire::ItemStatus::completed;
  if (!out_of_band_) {
    if (auto inserted = shared_.items.insert(whole)) {
      before = *inserted;
      shared_.outbox.push(wire::ItemAdded{item, before});
    }
  }
  shared_.outbox.push(wire::ArgumentsDelta{at, call.id, call.arguments});
  shared_.outbox.push(wire::ArgumentsDone{at, call});
  shared_.outbox.push(wire::OutputItemDone{at, whole});
  if (!out_of_band_) shared_.outbox.push(wire::ItemDone{whole, before});
  view_.output.push_back(std::move(whole));
}

void Answer::finish(Status status, std::string reason, std::optional<assistant::Usage> usage) {
  view_.status = status;
  view_.reason = std::move(reason);
  view_.usage = usage;
  message_.status = status == Status::completed ? wire::ItemStatus::completed : wire::ItemStatus::incomplete;
  close_message();
  ended_ = true;
  shared_.outbox.push(wire::ResponseDone{view_});
}

void Answer::cancel(std::string_view reason) {
  if (ended_) return;
  if (!begun_) {
    ended_ = true;
    waiting_ = {};
    waiting_bytes_ = 0;
    return;
  }
  shared_.outbox.drop_audio(view_.id);
  if (message_open_ && view_.speak) {
    const Heard left = heard_until(sent_samples_);
    message_.content[0].text =
        said_.substr(base_.text_bytes, std::max(left.text_bytes, base_.text_bytes) - base_.text_bytes);
  }
  finish(Status::cancelled, std::string(reason), assistant::Usage{});
}

void Answer::fail(Error error) {
  if (ended_) return;
  view_.error = std::move(error);
  finish(Status::failed, "", {});
}

void Answer::on_sent(const wire::AudioDelta& delta) { sent_samples_ += samples_of(delta.bytes.size()); }

Heard Answer::heard_until(int64_t samples) const {
  const int64_t at = base_.samples + samples;
  const bool all = complete_ && at >= sound_samples_;
  if (all) return {.text_bytes = said_.size(), .samples = sound_samples_};
  return heard(said_, marks_, at, sound_samples_);
}

Heard Answer::cut(int64_t samples) {
  Heard at = heard_until(samples);
  at.text_bytes = std::max(at.text_bytes, base_.text_bytes);
  at.samples = std::max(at.samples, base_.samples);
  if (wire::Item* item = shared_.items.find(message_.id); item != nullptr && !item->content.empty()) {
    item->content[0].text = said_.substr(base_.text_bytes, at.text_bytes - base_.text_bytes);
    message_.content[0].text = item->content[0].text;
  }
  return at;
}

}  // namespace calliope::realtime
