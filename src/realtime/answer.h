#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "assistant/engine.h"
#include "media/wire_sound.h"
#include "realtime/heard.h"
#include "realtime/items.h"
#include "realtime/outbox.h"

namespace calliope::realtime {

/// What all parts of one conversation share.
struct Shared {
  explicit Shared(ItemLimits limits) : items(limits) {}
  Outbox outbox;
  Items items;
  std::string conversation_id;
  /// A new id: item_..., resp_...
  std::string id(std::string_view prefix);
};

/// Bytes of a request's text.
size_t text_bytes(const assistant::Request& request);

/// What a response is asked to be.
struct AnswerPlan {
  assistant::Request request;
  wire::ResponseView view;  ///< as its events show it; the id is set here
  std::string instructions = {};
  bool out_of_band = false;  ///< its items do not go into the conversation
};

/// One response: what the engine says becomes the client's events and the conversation's items. Until begin() it keeps
/// what it is told to itself, so that it can be dropped without a trace.
class Answer {
 public:
  Answer(Shared& shared, AnswerPlan plan);
  /// Goes on where an answer that was interrupted ends to be heard.
  Answer(Shared& shared, const Answer& interrupted, Heard from);

  /// From here on the client sees it.
  void begin();
  void on_event(assistant::Event event);
  /// Ends an answer that went on and of which all was known.
  void finish_known() { finish(wire::ResponseView::Status::completed, "", {}); }
  /// Ends it early: no more sound leaves, and its item keeps the words whose sound has left. `reason` as in
  /// response.status_details.
  void cancel(std::string_view reason);
  /// Ends it because it cannot be answered.
  void fail(Error error);
  /// The outbox gave up sound of this answer.
  void on_sent(const wire::AudioDelta& delta);
  /// The item was truncated at a position of its own sound: what was heard of it.
  Heard cut(int64_t samples);
  /// Sound and question are needed for going on after an interruption only.
  void forget_sound() {
    sound_ = {};
    forget_question();
  }
  void forget_question() {
    request_ = {};
    request_bytes_ = 0;
  }
  /// Whether it can be asked for once more.
  bool repeatable() const { return !request_.turns.empty(); }

  const std::string& id() const { return view_.id; }
  const std::string& item_id() const { return message_.id; }
  const assistant::Request& request() const { return request_; }
  assistant::Request& request() { return request_; }
  const std::string& instructions() const { return instructions_; }
  bool out_of_band() const { return out_of_band_; }
  bool begun() const { return begun_; }
  bool ended() const { return ended_; }
  bool failed() const { return view_.status == wire::ResponseView::Status::failed; }
  /// Whether nothing of the answer has come yet.
  bool silent() const { return said_.empty() && calls_ == 0 && sound_samples_ == 0; }
  /// The engine had no place for it in time, or took it for too large, and it has not begun.
  bool refused_early() const;
  bool cancelled() const { return view_.status == wire::ResponseView::Status::cancelled; }
  bool speaks() const { return view_.speak; }
  /// Whether the engine told it to the end.
  bool complete() const { return complete_; }
  bool has_sound() const { return sound_samples_ > base_.samples; }
  /// Of the item's own sound, at 24 kHz: what there is, and what has left.
  int64_t samples() const { return sound_samples_ - base_.samples; }
  int64_t sent_samples() const { return sent_samples_; }
  /// Where a position of the item's own sound lies in the whole answer: what went before an interruption counts.
  Heard heard_until(int64_t samples) const;
  int64_t whole_samples() const { return sound_samples_; }
  size_t held_bytes() const { return sound_.size(); }
  /// What it takes in memory, beside its item.
  size_t bytes() const { return sizeof *this + sound_.capacity() + said_.capacity() + waiting_bytes_ + request_bytes_; }

 private:
  void open_message();
  void close_message();
  void say(std::string_view text);
  void sound(std::span<const float> samples);
  void emit_sound(std::span<const uint8_t> bytes);
  void call(assistant::ToolCall call);
  void finish(wire::ResponseView::Status status, std::string reason, std::optional<assistant::Usage> usage);
  wire::Place place() const;
  int64_t samples_of(size_t bytes) const;

  Shared& shared_;
  assistant::Request request_;
  wire::ResponseView view_;
  const std::string instructions_;
  const bool out_of_band_;
  wire::Item message_;
  bool message_open_ = false;
  int message_index_ = 0, outputs_ = 0;  ///< where the message stands in the response's output; places given so far
  int calls_ = 0;
  const bool resumed_ = false;
  bool begun_ = false, ended_ = false, complete_ = false;
  std::vector<assistant::Event> waiting_;  ///< before begin()
  size_t waiting_bytes_ = 0, request_bytes_ = 0;

  // The whole answer, from its first word, also when it went on after an interruption.
  std::string said_;
  std::vector<assistant::SpokenMark> marks_;
  std::vector<uint8_t> sound_;  ///< packed for the wire
  int64_t sound_samples_ = 0;   ///< at 24 kHz
  Heard base_;                  ///< where this item begins in it
  size_t replay_text_ = 0;      ///< of an answer run again: how much is known already
  size_t replay_sound_ = 0;
  int replay_calls_ = 0;
  int64_t sent_samples_ = 0;
  std::unique_ptr<media::Resampler> resampler_;
};

}  // namespace calliope::realtime
