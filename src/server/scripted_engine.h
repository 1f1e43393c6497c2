// Stands in for the engine in this room's tests: the last text of a request says how it is answered.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "assistant/engine.h"

namespace calliope::server {

class ScriptedEngine : public assistant::Engine {
 public:
  Result<void> submit(assistant::Request request, std::shared_ptr<assistant::Sink> sink,
                      std::stop_token stop) override {
    std::string text;
    for (const auto& part : request.turns.empty() ? std::vector<assistant::Part>() : request.turns.back().parts) {
      if (const auto* words = std::get_if<std::string>(&part)) text = *words;
    }
    if (!request.read_aloud.empty()) text = request.read_aloud;
    if (text == "mute") return fail(ErrorCode::unsupported, "this model has no voice: its checkpoint has no talker", "model");
    if (text == "full") return std::unexpected(Error{ErrorCode::unavailable, "The queue is full.", "", 7});
    if (text == "long") return fail(ErrorCode::too_large, "The prompt has 9000 tokens, the context 4096.", "messages");
    const std::lock_guard lock(mutex_);
    ++submitted;
    last_ = request;
    threads_.emplace_back([this, text, request = std::move(request), sink, stop] { play(text, request, *sink, stop); });
    return {};
  }
  std::vector<std::string> model_names() const override { return {"scripted", "other/name"}; }
  std::vector<std::string> voices() const override { return {"default"}; }
  assistant::TranscriptionStyle transcription_style() const override { return {.question = "{prompt}", .most_seconds = 2}; }

  assistant::EngineStats stats() const override {
    assistant::EngineStats stats;
    stats.queued = 3;
    stats.stage(assistant::Stage::decode).batch.add(2);
    stats.prefix_pages_asked = 5;
    stats.prefix_pages_found = 4;
    stats.playback_gaps = 7;
    stats.first_audio_seconds.add(0.07);
    return stats;
  }

  /// The last request admitted.
  assistant::Request last() const {
    const std::lock_guard lock(mutex_);
    return last_;
  }

  std::atomic<int> submitted = 0, cancelled = 0;
  std::atomic<bool> heard = false;  ///< what "fail after sound" waits for
  std::atomic<int> step_ms = 0;  ///< how long each piece of an answer takes

 private:
  void play(const std::string& text, const assistant::Request& request, assistant::Sink& sink,
            const std::stop_token& stop) {
    using namespace assistant;
    const auto pause = [&](int ms) {
      for (int i = 0; i < ms && !stop.stop_requested(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    };
    const auto finish = [&](FinishReason reason) {
      if (reason == FinishReason::cancelled) ++cancelled;
      sink.on_event(Finished{
          .reason = reason,
          .usage = {.prompt_tokens = 12, .completion_tokens = 4, .completion_audio_frames = request.speak ? 2 : 0}});
    };
    if (text == "fail") return sink.on_event(Failed{{ErrorCode::internal, "A step failed."}});
    if (text == "wait") {
      pause(60'000);
      return finish(FinishReason::cancelled);
    }
    if (text == "flood") {
      while (!stop.stop_requested()) {
        sink.on_event(TextDelta{std::string(10'000, 'x')});
        pause(step_ms);
      }
      return finish(FinishReason::cancelled);
    }
    const std::string answer = "You said: " + text;
    for (size_t i = 0; i < answer.size() && !stop.stop_requested(); i += 4) {
      while (!request.read_aloud.empty() && sink.full() && !stop.stop_requested()) pause(1);  // as the engine reads
      sink.on_event(TextDelta{answer.substr(i, 4)});
      pause(step_ms);
      while (text == "fail after sound" && i > 0 && !heard && !stop.stop_requested()) pause(1);
      if (text == "fail after sound" && i > 0) return sink.on_event(Failed{{ErrorCode::internal, "A later step failed."}});
      if (text == "fail late") return sink.on_event(Failed{{ErrorCode::internal, "A later step failed."}});
      if (request.speak) {
        std::vector<float> samples(kSpeechSampleRate / 10);
        for (size_t k = 0; k < samples.size(); ++k) {
          samples[k] = 0.2f * std::sin(0.1f * static_cast<float>(k + i / 4 * samples.size()));
        }
        const auto spoken = static_cast<int64_t>((i / 4 + 1) * samples.size());
        sink.on_event(AudioDelta{std::move(samples)});
        pause(step_ms);
        sink.on_event(SpokenMark{std::min(answer.size(), i + 4), spoken});
      }
    }
    finish(stop.stop_requested() ? FinishReason::cancelled : FinishReason::stop);
  }

  mutable std::mutex mutex_;
  assistant::Request last_;
  std::vector<std::jthread> threads_;
};

}  // namespace calliope::server
