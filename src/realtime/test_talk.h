// A conversation with a fake engine and a fake clock, for this room's tests.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>
#include <random>

#include "realtime/conversation.h"

namespace calliope::realtime {

/// Something a voice detector takes for speech: a buzz with two formants, syllable after syllable, or a quiet room.
class FakeVoice {
 public:
  std::vector<float> speak(int ms) { return make(ms, 0.3f); }
  std::vector<float> be_quiet(int ms) { return make(ms, 0.0f); }

 private:
  std::vector<float> make(int ms, float gain) {
    constexpr int kRate = 24000;
    std::vector<float> samples(static_cast<size_t>(ms) * kRate / 1000);
    std::normal_distribution<float> noise(0, 2e-4f);
    for (float& sample : samples) {
      const double t = static_cast<double>(at_++) / kRate;
      sample = noise(random_);
      if (gain == 0) continue;
      const double pitch = 120 + 10 * std::sin(2 * std::numbers::pi * 3 * t);
      phase_ += 2 * std::numbers::pi * pitch / kRate;
      double value = 0;
      for (int k = 1; k < 30; ++k) {
        const double hz = k * pitch;
        const double formants = std::exp(-std::pow((hz - 600) / 200, 2)) +
                                0.5 * std::exp(-std::pow((hz - 1500) / 300, 2)) +
                                0.1 * std::exp(-std::pow((hz - 2600) / 400, 2));
        value += formants * std::sin(k * phase_);
      }
      sample += gain * static_cast<float>(value * (0.65 + 0.35 * std::sin(2 * std::numbers::pi * 5 * t)));
    }
    return samples;
  }
  std::mt19937 random_{7};
  int64_t at_ = 0;
  double phase_ = 0;
};

/// Answers nothing by itself: the test says what it says.
class FakeEngine : public assistant::Engine {
 public:
  struct Asked {
    assistant::Request request;
    std::shared_ptr<assistant::Sink> sink;
    std::stop_token stop;
    bool stopped() const { return stop.stop_requested(); }
    const assistant::LiveSoundPart live() const {
      for (const auto& part : request.turns.back().parts) {
        if (const auto* sound = std::get_if<assistant::LiveSoundPart>(&part)) return *sound;
      }
      return nullptr;
    }
  };
  Result<void> submit(assistant::Request request, std::shared_ptr<assistant::Sink> sink,
                      std::stop_token stop) override {
    if (refuse) return std::unexpected(*refuse);
    asked.push_back({std::move(request), std::move(sink), stop});
    return {};
  }
  std::vector<std::string> model_names() const override { return {"fake"}; }
  std::vector<std::string> voices() const override { return {"default"}; }

  std::vector<Asked> asked;
  std::optional<Error> refuse;
};

class Talk : public testing::Test {
 protected:
  void start(wire::Session session = {}, Settings settings = {}) {
    session.model = "fake";
    conversation_ = std::make_unique<Conversation>(settings, session, engine_, "somebody", 99, now_, [] {});
    take();
    log_.clear();
  }
  /// Starts with so many bytes for sounds and pictures.
  std::shared_ptr<MemoryBudget> start_within(size_t bytes) {
    Settings settings;
    settings.memory = std::make_shared<MemoryBudget>(bytes);
    start({}, settings);
    return settings.memory;
  }
  void set(const std::function<void(wire::Session&)>& change) {
    wire::Session session = conversation_->session();
    change(session);
    send(wire::UpdateSession{session});
  }
  template <class T>
  void send(T body, std::string event_id = {}) {
    conversation_->handle({.event_id = std::move(event_id), .body = std::move(body)}, now_);
    take();
  }
  void text(std::string words) {
    wire::Item item{.role = assistant::Role::user, .content = {{.text = std::move(words)}}};
    send(wire::CreateItem{std::move(item), {}});
  }
  /// Sends sound as it would come live, 20 ms at a time.
  void send_sound(const std::vector<float>& samples) {
    for (size_t at = 0; at < samples.size(); at += 480) {
      std::vector<uint8_t> bytes;
      media::to_wire(std::span(samples).subspan(at, std::min<size_t>(480, samples.size() - at)),
                     media::WireFormat::pcm16, bytes);
      wait(20);
      send(wire::AppendInput{std::move(bytes)});
    }
  }
  void speak(int ms) { send_sound(voice_.speak(ms)); }
  void be_quiet(int ms) { send_sound(voice_.be_quiet(ms)); }
  void wait(int ms) {
    now_ += milliseconds(ms);
    conversation_->poll(now_);
    take();
  }
  FakeEngine::Asked& asked(size_t index) {
    EXPECT_LT(index, engine_->asked.size());
    return engine_->asked.at(index);
  }
  void tell(size_t index, assistant::Event event) {
    asked(index).sink->on_event(std::move(event));
    if (hold_) return;
    conversation_->poll(now_);
    take();
  }
  /// A word of an answer with its sound: 100 ms each.
  void tell_word(size_t index, std::string word) {
    auto& [bytes, samples] = told_[index];
    tell(index, assistant::TextDelta{word});
    tell(index, assistant::AudioDelta{std::vector<float>(2400, 0.1f)});
    bytes += word.size();
    samples += 2400;
    tell(index, assistant::SpokenMark{bytes, samples});
  }
  void tell_end(size_t index, assistant::FinishReason reason = assistant::FinishReason::stop) {
    tell(index, assistant::Finished{reason, {.prompt_tokens = 9, .completion_tokens = 3}});
  }
  void take() {
    while (!hold_) {
      auto event = conversation_->next(now_);
      if (!event) return;
      log_.push_back(*std::move(event));
    }
  }
  template <class T>
  std::vector<T> all() const {
    std::vector<T> found;
    for (const auto& event : log_) {
      if (const auto* one = std::get_if<T>(&event)) found.push_back(*one);
    }
    return found;
  }
  template <class T>
  size_t count() const {
    return all<T>().size();
  }
  template <class T>
  T only() const {
    const auto found = all<T>();
    EXPECT_EQ(found.size(), 1u);
    return found.empty() ? T{} : found.back();
  }
  template <class T>
  T last() const {
    const auto found = all<T>();
    EXPECT_FALSE(found.empty());
    return found.empty() ? T{} : found.back();
  }
  std::string transcript() const {
    std::string words;
    for (const auto& delta : all<wire::TextDelta>()) words += delta.delta;
    return words;
  }
  /// Samples at 24 kHz that were sent.
  size_t sent_samples() const {
    size_t bytes = 0;
    for (const auto& delta : all<wire::AudioDelta>()) bytes += delta.bytes.size();
    return bytes / 2;
  }
  std::string prompt(size_t index) {
    std::string words;
    for (const auto& turn : asked(index).request.turns) {
      words += turn.role == assistant::Role::user        ? "U:"
               : turn.role == assistant::Role::assistant ? "A:"
               : turn.role == assistant::Role::tool      ? "T:"
                                                         : "S:";
      for (const auto& part : turn.parts) {
        if (const auto* words_of = std::get_if<std::string>(&part)) words += *words_of;
        if (std::holds_alternative<assistant::SoundPart>(part)) words += "<sound>";
        if (std::holds_alternative<assistant::LiveSoundPart>(part)) words += "<live>";
        if (std::holds_alternative<assistant::ImagePart>(part)) words += "<image>";
      }
      for (const auto& call : turn.tool_calls) words += call.name + "(" + call.arguments + ")";
      words += "|";
    }
    return words;
  }

  std::shared_ptr<FakeEngine> engine_ = std::make_shared<FakeEngine>();
  std::unique_ptr<Conversation> conversation_;
  TimePoint now_ = TimePoint() + std::chrono::hours(1);
  std::vector<wire::ServerEvent> log_;
  bool hold_ = false;  ///< the client does not read
  std::map<size_t, std::pair<size_t, int64_t>> told_;
  FakeVoice voice_;
};

}  // namespace calliope::realtime
