// How long after the end of speech the first sound of the answer comes, inside the engine: people who speak at real speed,
// listen to the answer, and speak again. usage: calliope_live_bench MODEL QUESTION.f32 [people] [turns]
// QUESTION.f32: mono samples at 16 kHz as 32-bit floats.
#include <algorithm>
#include <chrono>
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
  Time first() const { return first_; }
  Time text() const { return text_; }
  double gap_s() const { return gap_; }

 private:
  std::mutex mutex_;
  std::condition_variable wake_;
  engine::PlaybackClock playback_;
  Time first_{}, text_{};
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
  std::vector<double> first_text, first_sound;
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
        request.speak = request.live = true;
        request.user = std::to_string(person);
        request.sampling.temperature = 0.0f;
        // Nobody says exactly the same twice.
        std::vector<float> said = question;
        for (size_t i = 0; i < said.size(); ++i) said[i] *= 1 - 0.001f * static_cast<float>(1 + person * turns + turn);
        if (auto submitted = engine.submit(std::move(request), listener, {}); !submitted) {
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
        listener->listen();
        const std::lock_guard lock(mutex);
        first_text.push_back(1000 * engine::seconds_between(end, listener->text()));
        first_sound.push_back(1000 * engine::seconds_between(end, listener->first()));
        gaps += listener->gap_s();
      }
    });
  }
  talking.clear();
  const auto stats = engine.stats();
  const double rounds = static_cast<double>(std::max<uint64_t>(1, stats.round_seconds.count));
  std::printf("%d people, %zu questions of %.1f s\n", people, first_sound.size(), double(question.size()) / 16000);
  std::printf("end of speech to first text  p50 %6.1f ms  p95 %6.1f ms  most %6.1f ms\n", percentile(first_text, 0.5),
              percentile(first_text, 0.95), percentile(first_text, 1));
  std::printf("end of speech to first sound p50 %6.1f ms  p95 %6.1f ms  most %6.1f ms\n", percentile(first_sound, 0.5),
              percentile(first_sound, 0.95), percentile(first_sound, 1));
  std::printf("waiting for sound in answers: %.3f s in all; rounds %.0f, mean %.1f ms\n", gaps, rounds, 1000 * stats.round_seconds.sum / rounds);
  for (size_t i = 0; i < stats.stages.size(); ++i) {
    const auto& stage = stats.stages[i];
    const double passes = static_cast<double>(std::max<uint64_t>(1, stage.batch.count));
    std::printf("  %-14s %7llu passes, mean batch %5.1f, %6.2f ms each\n", assistant::kStageNames[i],
                static_cast<unsigned long long>(stage.batch.count), stage.batch.sum / passes, 1000 * stage.seconds / passes);
  }
  return 0;
}
