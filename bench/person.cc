#include "bench/person.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace calliope::bench {

using std::chrono::milliseconds;

namespace {

std::string_view text_of(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(key);
  return value != nullptr && value->is_string() ? std::string_view(value->get_string()) : std::string_view();
}

/// Samples in base64 of 16-bit sound.
int64_t samples_in(std::string_view base64) {
  size_t bytes = base64.size() / 4 * 3;
  while (base64.ends_with('=')) {
    base64.remove_suffix(1);
    --bytes;
  }
  return static_cast<int64_t>(bytes / 2);
}

}  // namespace

Person::Person(asio::io_context& io, Server server, Manners manners, uint32_t seed, Tally& tally)
    : io_(io),
      server_(std::move(server)),
      manners_(std::move(manners)),
      tally_(tally),
      random_(seed),
      client_(std::make_shared<LiveClient>(io, [this](const json::object& event) { take(event); })),
      microphone_(*client_),
      loudspeaker_(manners_.lead_ms) {}

void Person::take(const json::object& event) {
  const Time now = Clock::now();
  const std::string_view type = text_of(event, "type");
  if (type == "session.created") {
    client_->send(R"({"type":"session.update","session":{"type":"realtime","max_output_tokens":64,"output_modalities":["audio"],"audio":{"input":{"turn_detection":)" +
                  manners_.turn_detection + "}}}}");
  } else if (type == "session.updated") {
    ready_ = true;
  } else if (type == "input_audio_buffer.speech_started") {
    speech_started_ = now;
    if (response_going_) interrupted_ = response_;
    loudspeaker_.halt(now);
  } else if (type == "input_audio_buffer.speech_stopped") {
    speech_stopped_ = now;
    first_audio_ = {};
  } else if (type == "response.created") {
    response_ = std::string(text_of(event.at("response").as_object(), "id"));
    response_going_ = true;
    response_created_ = now;
    first_audio_ = {};
  } else if (type == "response.output_audio.delta") {
    take_audio(event);
  } else if (type == "response.done") {
    response_going_ = false;
    response_done_ = now;
  } else if (type == "error") {
    const auto& error = event.at("error").as_object();
    const std::string_view code = text_of(error, "code");
    if (code != "response_cancel_not_active") ++tally_.errors[std::string(code.empty() ? text_of(error, "message") : code)];
  }
}

void Person::take_audio(const json::object& event) {
  const Time now = Clock::now();
  if (text_of(event, "response_id") == interrupted_) {  // too late to be heard
    late_audio_ = now;
    return;
  }
  if (first_audio_ == Time{}) first_audio_ = now;
  const size_t gaps = loudspeaker_.gaps_ms.size();
  loudspeaker_.push(std::string(text_of(event, "item_id")), samples_in(text_of(event, "delta")), now);
  if (loudspeaker_.gaps_ms.size() > gaps) tally_.gaps_ms.push_back(loudspeaker_.gaps_ms.back());
}

template <class Condition>
asio::awaitable<bool> Person::wait(milliseconds most, Condition condition) {
  const Time until = Clock::now() + most;
  while (client_->open()) {
    if (condition()) co_return true;
    if (Clock::now() > until) co_return false;
    if (Clock::now() > hang_up_) client_->close(false);
    co_await sleep_for(milliseconds(2));
  }
  co_return false;
}

asio::awaitable<void> Person::run(Time until) {
  const auto self = shared_from_this();
  bool ended = false;
  asio::co_spawn(
      io_, [self] { return self->client_->run(self->server_); },
      [self, &ended](std::exception_ptr, bool) { ended = true; });
  for (int i = 0; i < 15'000 && !client_->open() && !ended; ++i) co_await sleep_for(milliseconds(2));
  if (client_->open()) {
    asio::co_spawn(io_, [self] { return self->microphone_.run(); }, asio::detached);
    co_await talk(until);
  }
  if (!client_->open() && Clock::now() < hang_up_) ++tally_.closed;
  client_->close(true);
  for (int i = 0; i < 2'000 && !ended; ++i) co_await sleep_for(milliseconds(2));
  if (!ended) client_->close(false);
  while (!ended) co_await sleep_for(milliseconds(2));
  tally_.heard_s += loudspeaker_.seconds;
  tally_.microphone_late_ms = std::max(tally_.microphone_late_ms, microphone_.late_ms);
}

asio::awaitable<void> Person::talk(Time until) {
  if (!co_await wait(milliseconds(20'000), [this] { return ready_; })) co_return;
  co_await sleep_for(milliseconds(random_() % 1000));  // people do not begin together
  const auto enough = [this] {
    return tally_.exchanges.size() >= manners_.most_exchanges || tally_.interrupted_in_flight >= manners_.most_interruptions;
  };
  while (client_->open() && Clock::now() < until && !enough()) {
    if (!microphone_.speaking()) microphone_.say((*manners_.clips)[random_() % manners_.clips->size()]);
    if (!co_await say_something()) {
      if (client_->open()) ++tally_.unheard;
      continue;
    }
    const bool rude = std::uniform_real_distribution<>(0, 1)(random_) < manners_.interrupts;
    if (rude) {
      co_await interrupt();
    } else if (co_await hear_out()) {
      co_await sleep_for(milliseconds(manners_.pause_ms * static_cast<int>(100 + random_() % 200) / 100));
    }
  }
}

/// Waits until what is being said has been said and the first sound of its answer is there.
asio::awaitable<bool> Person::say_something() {
  Exchange exchange;
  if (!co_await wait(milliseconds(60'000), [this] { return microphone_.speech_ended != Time{}; })) co_return false;
  const Time ended = microphone_.speech_ended;
  const auto stopped = [this] {
    return !microphone_.speaking() && speech_stopped_ > microphone_.speech_began && speech_stopped_ > speech_started_;
  };
  const auto silent = [this] { return response_created_ > speech_stopped_ && response_done_ > response_created_; };
  const auto answered = [&] { return stopped() && (first_audio_ != Time{} || silent()); };
  if (!co_await wait(milliseconds(20'000), answered)) co_return false;
  if (first_audio_ == Time{}) {
    ++tally_.silent;
    co_return true;
  }
  exchange.endpoint_ms = ms_between(ended, speech_stopped_);
  exchange.answer_ms = ms_between(speech_stopped_, first_audio_);
  exchange.whole_ms = ms_between(ended, first_audio_);
  tally_.exchanges.push_back(exchange);
  co_return true;
}

/// Listens to the end of the answer.
asio::awaitable<bool> Person::hear_out() {
  co_return co_await wait(milliseconds(180'000), [this] { return !response_going_ && !loudspeaker_.playing(Clock::now()); });
}

/// Interrupts the answer soon after its first sound, by voice or by the stop button.
asio::awaitable<void> Person::interrupt() {
  co_await sleep_for(milliseconds(static_cast<int>(random_() % static_cast<uint32_t>(std::max(1, manners_.interrupts_within_ms)))));
  Interruption interruption{.by_voice = random_() % 2 == 0, .in_flight = response_going_};
  const std::string response = response_;
  Time from;
  if (interruption.by_voice) {
    speech_started_ = {};
    microphone_.say((*manners_.clips)[random_() % manners_.clips->size()]);
    if (!co_await wait(milliseconds(5'000), [this] { return speech_started_ != Time{}; })) co_return;
    from = speech_started_;
    interruption.noticed_ms = ms_between(microphone_.speech_began, from);
  } else {
    client_->send(R"({"type":"response.cancel"})");
    from = Clock::now();
    interrupted_ = response;
    loudspeaker_.halt(from);
  }
  co_await sleep_for(milliseconds(400));
  if (late_audio_ > from) interruption.silence_ms = ms_between(from, late_audio_);
  tally_.interruptions.push_back(interruption);
  tally_.interrupted_in_flight += interruption.in_flight ? 1 : 0;
  if (!interruption.by_voice) co_await sleep_for(milliseconds(300));
}

}  // namespace calliope::bench
