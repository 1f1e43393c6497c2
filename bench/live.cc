// How long after the end of speech the first sound of the answer comes, inside the engine: people who speak at real speed,
// listen to the answer, and speak again; every third answer is interrupted when it has begun. Beside them somebody may keep
// sending pictures of so many megapixels. usage: calliope_live_bench MODEL QUESTION.f32 [people] [turns] [megapixels]
// QUESTION.f32: mono samples at 16 kHz as 32-bit floats.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <mutex>
#include <thread>
#include <vector>

#include "engine/engine.h"
#include "engine/playback_clock.h"

namespace {

using namespace calliope;
using engine::Time;

Time now() { return std::chrono::steady_clock::now(); }

class Listener final : public assistant::Sink {
 public:
  void on_event(assistant::Event event) override {
    const std::lock_guard lock(mutex_);
    if (const auto* audio = std::get_if<assistant::AudioDelta>(&event)) {
      if (!playback_.begun()) first_ = now();
      gap_ += playback_.sent(static_cast<int64_t>(audio->samples.size()), now());
    }
    if (std::holds_alternative<assistant::TextDelta>(event) && text_ == Time{}) text_ = now();
    last_ = now();
    ended_ = ended_ || std::holds_alternative<assistant::Finished>(event) || std::holds_alternative<assistant::Failed>(event);
    wake_.notify_all();
  }
  // Until the answer has been played.
  void listen() {
    std::unique_lock lock(mutex_);
    wake_.wait(lock, [&] { return ended_; });
    const double left = playback_.begun() ? playback_.ahead_s(now()) : 0;
    lock.unlock();
    std::this_thread::sleep_for(std::chrono::duration<double>(std::max(0.0, left)));
  }
  // Until it has begun.
  void hear_first() {
    std::unique_lock lock(mutex_);
    wake_.wait(lock, [&] { return ended_ || playback_.begun(); });
  }
  Time first() const { return first_; }
  Time text() const { return text_; }
  Time last() const { return last_; }
  double gap_s() const { return gap_; }

 private:
  std::mutex mutex_;
  std::condition_variable wake_;
  engine::PlaybackClock playback_;
  Time first_{}, text_{}, last_{};
  double gap_ = 0;
  bool ended_ = false;
};

double percentile(std::vector<double> values, double part) {
  if (values.empty()) return 0;
  std::ranges::sort(values);
  return values[static_cast<size_t>(part * static_cast<double>(values.size() - 1) + 0.5)];
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) return std::fprintf(stderr, "usage: %s MODEL QUESTION.f32 [people] [turns]\n", argv[0]), 2;
  const int people = argc > 3 ? std::atoi(argv[3]) : 1, turns = argc > 4 ? std::atoi(argv[4]) : 5;
  auto model = model::load_model(argv[1]);
  if (!model) return std::fprintf(stderr, "%s\n", model.error().message.c_str()), 1;
  std::ifstream file(argv[2], std::ios::binary | std::ios::ate);
  std::vector<float> question(static_cast<size_t>(std::max<std::streamoff>(0, file.tellg())) / sizeof(float));
  file.seekg(0);
  file.read(reinterpret_cast<char*>(question.data()), static_cast<std::streamsize>(question.size() * sizeof(float)));
  engine::Engine engine(*model, {});

  std::mutex mutex;
  std::vector<double> first_text, first_sound, stopped;
  std::jthread sending([&](const std::stop_token& over) {
    const int side = argc > 5 ? static_cast<int>(1000 * std::sqrt(std::atof(argv[5]))) : 0;
    for (int i = 0; side > 0 && !over.stop_requested(); ++i) {
      assistant::Image image{side, side, std::vector<uint8_t>(static_cast<size_t>(3 * side) * static_cast<size_t>(side))};
      for (size_t at = 0; at < image.rgb.size(); ++at) image.rgb[at] = static_cast<uint8_t>(at * 7 + static_cast<size_t>(i));
      const auto reader = std::make_shared<Listener>();
      assistant::Request request;
      request.turns.push_back({assistant::Role::user, {std::make_shared<const assistant::Image>(std::move(image)), "What is in this photo?"}});
      if (engine.submit(std::move(request), reader, {})) reader->listen();
    }
  });
  double gaps = 0;
  std::vector<std::jthread> talking;
  for (int person = 0; person < people; ++person) {
    talking.emplace_back([&, person] {
      std::this_thread::sleep_for(std::chrono::milliseconds(370 * person));
      for (int turn = 0; turn < turns; ++turn) {
        const auto sound = std::make_shared<assistant::LiveSound>();
        const auto listener = std::make_shared<Listener>();
        assistant::Request request;
        request.turns.push_back({assistant::Role::user, {sound}});
        std::stop_source stop;
        request.speak = request.live = true;
        request.user = std::to_string(person);
        request.sampling.temperature = 0.0f;
        // Nobody says exactly the same twice.
        std::vector<float> said = question;
        for (size_t i = 0; i < said.size(); ++i) said[i] *= 1 - 0.001f * static_cast<float>(1 + person * turns + turn);
        if (auto submitted = engine.submit(std::move(request), listener, stop.get_token()); !submitted) {
          std::fprintf(stderr, "%s\n", submitted.error().message.c_str());
          return;
        }
        constexpr size_t kPiece = 320;  // 20 ms
        Time next = now();
        for (size_t at = 0; at < said.size(); at += kPiece) {
          sound->append(std::span(said).subspan(at, std::min(kPiece, said.size() - at)));
          next += std::chrono::milliseconds(20);
          std::this_thread::sleep_until(next);
        }
        const Time end = now();
        sound->end();
        const bool interrupts = turn % 3 == 2;
        if (interrupts) listener->hear_first();
        const Time interrupted = now();
        if (interrupts) stop.request_stop();
        listener->listen();
        const std::lock_guard lock(mutex);
        if (interrupts) stopped.push_back(1000 * engine::seconds_between(interrupted, listener->last()));
        first_text.push_back(1000 * engine::seconds_between(end, listener->text()));
        first_sound.push_back(1000 * engine::seconds_between(end, listener->first()));
        gaps += listener->gap_s();
      }
    });
  }
  talking.clear();
  sending = {};
  const auto stats = engine.stats();
  const double rounds = static_cast<double>(std::max<uint64_t>(1, stats.round_seconds.count));
  std::printf("%d people, %zu questions of %.1f s\n", people, first_sound.size(), double(question.size()) / 16000);
  std::printf("end of speech to first text  p50 %6.1f ms  p95 %6.1f ms  most %6.1f ms\n", percentile(first_text, 0.5),
              percentile(first_text, 0.95), percentile(first_text, 1));
  std::printf("end of speech to first sound p50 %6.1f ms  p95 %6.1f ms  most %6.1f ms\n", percentile(first_sound, 0.5),
              percentile(first_sound, 0.95), percentile(first_sound, 1));
  if (!stopped.empty()) {
    std::printf("interruption to the last event p50 %5.1f ms  p99 %6.1f ms\n", percentile(stopped, 0.5), percentile(stopped, 0.99));
  }
  std::printf("waiting for sound in answers: %.3f s in all; rounds %.0f, mean %.1f ms\n", gaps, rounds, 1000 * stats.round_seconds.sum / rounds);
  for (size_t i = 0; i < stats.stages.size(); ++i) {
    const auto& stage = stats.stages[i];
    const double passes = static_cast<double>(std::max<uint64_t>(1, stage.batch.count));
    std::printf("  %-14s %7llu passes, mean batch %5.1f, %6.2f ms each\n", assistant::kStageNames[i],
                static_cast<unsigned long long>(stage.batch.count), stage.batch.sum / passes, 1000 * stage.seconds / passes);
  }
  return 0;
}
