// One person who talks to the server: says something, listens, sometimes interrupts, and writes down what happened when.
#pragma once

#include <cstdint>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "bench/live_client.h"

namespace calliope::bench {

/// How a person behaves.
struct Manners {
  const std::vector<Clip>* clips = nullptr;
  double lead_ms = 40;            ///< of the loudspeaker, as the page has it
  double interrupts = 0;          ///< the share of answers that are interrupted
  int interrupts_within_ms = 500; ///< of the first sound of the answer
  int pause_ms = 300;             ///< from the end of an answer to what is said next; at random up to three times that
  /// Of all people together: then nobody says more. Interruptions count while the answer is in the making.
  size_t most_exchanges = SIZE_MAX, most_interruptions = SIZE_MAX;
  std::string turn_detection =    ///< as in session.update
      R"({"type":"server_vad"})";
};

/// Something that was said and answered, milliseconds. Negative: it did not come to that.
struct Exchange {
  double endpoint_ms = -1;  ///< from the last speech sent to speech_stopped
  double answer_ms = -1;    ///< from speech_stopped to the first sound of the answer
  double whole_ms = -1;     ///< from the last speech sent to the first sound of the answer
};

/// An answer that was interrupted, milliseconds.
struct Interruption {
  bool by_voice = false;
  double noticed_ms = -1;   ///< by voice: from the first speech sent to speech_started
  double silence_ms = 0;    ///< from speech_started, or from response.cancel, to the last sound that still came
  bool in_flight = false;   ///< the answer was not complete when it was interrupted
};

/// What many people met.
struct Tally {
  std::vector<Exchange> exchanges;
  std::vector<Interruption> interruptions;
  size_t interrupted_in_flight = 0;
  std::vector<double> gaps_ms;
  double heard_s = 0;        ///< sound of answers
  double microphone_late_ms = 0;
  int unheard = 0;           ///< nothing came of what was said within 20 s
  int silent = 0;            ///< answers without sound
  int closed = 0;            ///< connections that the server ended, or that could not be opened
  std::map<std::string, int> errors;
};

class Person : public std::enable_shared_from_this<Person> {
 public:
  Person(asio::io_context& io, Server server, Manners manners, uint32_t seed, Tally& tally);

  /// Talks until the time has come, to the end of an exchange. Keeps itself alive.
  asio::awaitable<void> run(Time until);
  /// Vanishes at that time without a word, whatever is going on.
  void hang_up_at(Time time) { hang_up_ = time; }

 private:
  void take(const json::object& event);
  void take_audio(const json::object& event);
  asio::awaitable<void> talk(Time until);
  asio::awaitable<bool> say_something();
  asio::awaitable<bool> hear_out();
  asio::awaitable<void> interrupt();
  template <class Condition>
  asio::awaitable<bool> wait(std::chrono::milliseconds most, Condition condition);

  asio::io_context& io_;
  const Server server_;
  const Manners manners_;
  Tally& tally_;
  std::mt19937 random_;
  std::shared_ptr<LiveClient> client_;
  Microphone microphone_;
  Loudspeaker loudspeaker_;

  Time hang_up_ = Time::max();
  bool ready_ = false;
  Time speech_started_{}, speech_stopped_{}, first_audio_{}, late_audio_{}, response_created_{}, response_done_{};
  std::string response_;        // the newest
  std::string interrupted_;     // sound of it comes too late
  bool response_going_ = false;
};

}  // namespace calliope::bench
