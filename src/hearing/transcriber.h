#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "assistant/engine.h"
#include "hearing/sound_cutter.h"

namespace calliope::hearing {

/// A sound to write down.
struct TranscriptionJob {
  std::string id;
  std::string user = {};  ///< as Request::user
  double max_wait_s = 0;  ///< as Request::max_wait_s, of the first piece
  assistant::SoundPart sound;
  std::vector<Stretch> pieces;  ///< of the sound, in order
  std::string question;         ///< transcription_question
  float temperature = 0;
  size_t at_once = 4;  ///< pieces that are with the engine at the same time
};

/// A sound as somebody asks for its transcript.
struct TranscriptionWish {
  assistant::SoundPart sound;
  std::string_view language = {};  ///< ISO-639-1; empty: not told
  std::string_view prompt = {};
  float temperature = 0;
  bool timed = false;  ///< every pause of half a second is a border of pieces, whose times are wanted
};
/// The job of that for a model: the sound cut into what the model takes, and its question.
TranscriptionJob transcription_job(const assistant::TranscriptionStyle& style, TranscriptionWish wish);

/// What was said in one piece.
struct Segment {
  Stretch where;
  std::string text;
};

/// Asks an engine for the transcript of a sound, several pieces at once, and tells the text in its order. Whoever owns
/// it drives it by next(): no more pieces are asked for than have been taken from it. The engine outlives it.
class Transcriber {
 public:
  using Clock = std::chrono::steady_clock;
  /// How long the engine may refuse to take a later piece before all of it fails.
  static constexpr std::chrono::seconds kPatience{60};

  /// `stop` ends all of it; so does destroying it.
  Transcriber(assistant::Engine& engine, TranscriptionJob job, std::stop_source stop);
  ~Transcriber();
  Transcriber(const Transcriber&) = delete;

  /// Hands the engine the first piece; its refusal is that of the whole.
  Result<void> begin();
  /// `wake` is called from the engine's thread whenever next() may have something; it must not block.
  void attach(std::function<void()> wake);
  /// After this, `wake` is called no more, and not being called either.
  void detach();

  /// The next TextDelta, or the Finished or Failed that ends it; none: nothing yet. To be asked at least every half
  /// second, as pieces that were refused for now are tried again.
  std::optional<assistant::Event> next(Clock::time_point now = Clock::now());

  /// All pieces in which something was said; complete after Finished.
  std::vector<Segment> segments() const;

 private:
  struct Inbox;
  class PieceSink;
  struct Piece {
    std::string waiting = {};  ///< text that was not told yet
    std::string blanks = {};   ///< blanks that are told only if more follows
    std::string told = {};
    bool done = false;
  };

  Result<void> submit_next();
  void submit_more(Clock::time_point now);
  void take_inbox();
  void tell_current();
  void end(assistant::Event event);

  assistant::Engine& engine_;
  const TranscriptionJob job_;
  std::stop_source stop_;
  std::shared_ptr<Inbox> inbox_;
  std::vector<Piece> pieces_;
  size_t submitted_ = 0;
  size_t current_ = 0;  ///< the first piece that is not done
  char32_t last_told_ = 0;
  assistant::Usage usage_;
  assistant::FinishReason reason_ = assistant::FinishReason::stop;
  std::deque<assistant::Event> out_;
  bool ended_ = false;
  std::optional<Clock::time_point> refused_since_;
  Clock::time_point retry_at_{};
};

}  // namespace calliope::hearing
