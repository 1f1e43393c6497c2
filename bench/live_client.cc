#include "bench/live_client.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/field.hpp>
#include <boost/beast/websocket/rfc6455.hpp>
#include <boost/json/parse.hpp>
#include <cmath>
#include <fstream>
#include <iterator>
#include <sstream>

#include "bench/http_client.h"
#include "media/base64.h"
#include "media/decode.h"
#include "media/wire_sound.h"

namespace calliope::bench {

namespace beast = boost::beast;
namespace http = beast::http;
namespace websocket = beast::websocket;
using asio::ip::tcp;
using boost::system::error_code;

double ms_between(Time from, Time to) { return std::chrono::duration<double, std::milli>(to - from).count(); }

asio::awaitable<void> sleep_for(std::chrono::milliseconds time) {
  asio::steady_timer timer(co_await asio::this_coro::executor, time);
  co_await timer.async_wait(asio::use_awaitable);
}

Result<Server> parse_url(std::string_view url) {
  constexpr std::string_view kScheme = "http://";
  if (!url.starts_with(kScheme)) return fail(ErrorCode::invalid_argument, "the address begins with http://", "url");
  url.remove_prefix(kScheme.size());
  url = url.substr(0, url.find('/'));
  const size_t colon = url.rfind(':');
  Server server;
  server.host = std::string(url.substr(0, colon));
  server.port = colon == std::string_view::npos ? "80" : std::string(url.substr(colon + 1));
  return server;
}

asio::awaitable<Metrics> read_metrics(Server server) {
  const auto answer = co_await http_ask(server, http_get(server, "/metrics"), std::chrono::seconds(30));
  Metrics metrics;
  if (!answer || answer->status != 200) co_return metrics;
  std::istringstream lines(answer->body);
  for (std::string line; std::getline(lines, line);) {
    const size_t space = line.rfind(' ');
    if (line.empty() || line[0] == '#' || space == std::string::npos) continue;
    metrics[line.substr(0, space)] = std::strtod(line.c_str() + space + 1, nullptr);
  }
  co_return metrics;
}

asio::awaitable<double> read_metric(Server server, std::string name) {
  const Metrics metrics = co_await read_metrics(std::move(server));
  const auto found = metrics.find(name);
  co_return found == metrics.end() ? std::nan("") : found->second;
}

// --- clips -----------------------------------------------------------------------------------------------------------

namespace {

std::string append_message(std::span<const float> samples) {
  std::vector<uint8_t> bytes;
  media::to_wire(samples, media::WireFormat::pcm16, bytes);
  return R"({"type":"input_audio_buffer.append","audio":")" + media::encode_base64(bytes) + "\"}";
}

constexpr size_t kPieceSamples = kRate / 50;

}  // namespace

const std::string& silence_message() {
  static const std::string message = append_message(std::vector<float>(kPieceSamples));
  return message;
}

Result<Clip> read_clip(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const std::vector<char> bytes((std::istreambuf_iterator<char>(file)), {});
  if (bytes.empty()) return fail(ErrorCode::io, "cannot read " + path, path);
  TRY(const auto heard, media::decode_sound(std::span(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size())));
  std::vector<float> samples = media::resample(heard, media::kSoundRate, kRate);
  samples.resize((samples.size() + kPieceSamples - 1) / kPieceSamples * kPieceSamples);

  // Speech is what comes within 30 dB of the loudest piece.
  std::vector<double> power;
  for (size_t at = 0; at < samples.size(); at += kPieceSamples) {
    double sum = 0;
    for (size_t i = at; i < at + kPieceSamples; ++i) sum += static_cast<double>(samples[i]) * samples[i];
    power.push_back(sum);
  }
  const double loudest = *std::ranges::max_element(power);
  if (loudest < 1e-4) return fail(ErrorCode::invalid_argument, path + " is silent", path);
  const auto loud = [&](double value) { return value > loudest * 1e-3; };
  const size_t first = static_cast<size_t>(std::ranges::find_if(power, loud) - power.begin());
  const size_t last = power.size() - 1 - static_cast<size_t>(std::find_if(power.rbegin(), power.rend(), loud) - power.rbegin());
  constexpr size_t kAround = 5;
  const size_t begin = first - std::min(first, kAround), end = std::min(power.size(), last + 1 + kAround);

  Clip clip{.name = path.substr(path.rfind('/') + 1), .speech_begin = first - begin, .speech_end = last - begin};
  for (size_t piece = begin; piece < end; ++piece) {
    clip.messages.push_back(append_message(std::span(samples).subspan(piece * kPieceSamples, kPieceSamples)));
  }
  clip.seconds = static_cast<double>(last + 1 - first) * 0.02;
  return clip;
}

// --- the socket ------------------------------------------------------------------------------------------------------

LiveClient::LiveClient(asio::io_context& io, Handler handler) : socket_(io), handler_(std::move(handler)) {}

asio::awaitable<bool> LiveClient::run(Server server) {
  const auto self = shared_from_this();
  try {
    tcp::resolver resolver(socket_.get_executor());
    const auto found = co_await resolver.async_resolve(server.host, server.port, asio::use_awaitable);
    auto& stream = beast::get_lowest_layer(socket_);
    stream.expires_after(std::chrono::seconds(30));
    co_await stream.async_connect(found, asio::use_awaitable);
    stream.socket().set_option(tcp::no_delay(true));
    stream.expires_never();
    socket_.set_option(websocket::stream_base::timeout::suggested(beast::role_type::client));
    socket_.set_option(websocket::stream_base::decorator([key = server.key](websocket::request_type& request) {
      if (!key.empty()) request.set(http::field::authorization, "Bearer " + key);
    }));
    socket_.read_message_max(64u << 20);
    co_await socket_.async_handshake(server.host + ":" + server.port, "/v1/realtime", asio::use_awaitable);
    open_ = true;
  } catch (const std::exception& failure) {
    why_ = failure.what();
    co_return false;
  }
  try {
    beast::flat_buffer buffer;
    while (true) {
      co_await socket_.async_read(buffer, asio::use_awaitable);
      const std::string_view text(static_cast<const char*>(buffer.data().data()), buffer.size());
      handler_(json::parse(text).as_object());
      buffer.consume(buffer.size());
    }
  } catch (const std::exception& failure) {
    why_ = failure.what();
  }
  open_ = false;
  co_return true;
}

void LiveClient::send(std::string message) {
  if (!open_) return;
  waiting_.push_back(std::move(message));
  if (writing_) return;
  writing_ = true;
  asio::co_spawn(
      socket_.get_executor(), [self = shared_from_this()] { return self->write_waiting(); }, asio::detached);
}

asio::awaitable<void> LiveClient::write_waiting() {
  error_code error;
  while (!waiting_.empty() && !error) {
    const std::string message = std::move(waiting_.front());
    waiting_.pop_front();
    co_await socket_.async_write(asio::buffer(message), asio::redirect_error(asio::use_awaitable, error));
  }
  if (!error && polite_close_) {
    co_await socket_.async_close(websocket::close_code::normal, asio::redirect_error(asio::use_awaitable, error));
  }
  writing_ = false;
}

void LiveClient::close(bool politely) {
  if (!open_) return;
  open_ = false;
  if (politely) {
    polite_close_ = true;
    if (writing_) return;
    writing_ = true;
    asio::co_spawn(
        socket_.get_executor(), [self = shared_from_this()] { return self->write_waiting(); }, asio::detached);
  } else {
    beast::get_lowest_layer(socket_).close();
  }
}

// --- microphone and loudspeaker --------------------------------------------------------------------------------------

asio::awaitable<void> Microphone::run() {
  asio::steady_timer timer(co_await asio::this_coro::executor);
  Time due = Clock::now();
  while (client_.open()) {
    due += kPiece;
    timer.expires_at(due);
    co_await timer.async_wait(asio::use_awaitable);
    const Time now = Clock::now();
    late_ms = std::max(late_ms, ms_between(due, now));
    if (clip_ == nullptr) {
      client_.send(silence_message());
      continue;
    }
    client_.send(clip_->messages[next_]);
    if (next_ == clip_->speech_begin) speech_began = now;
    if (next_ == clip_->speech_end) speech_ended = now;
    if (++next_ == clip_->messages.size()) clip_ = nullptr;
  }
}

void Microphone::say(const Clip& clip) {
  clip_ = &clip;
  next_ = 0;
  speech_began = speech_ended = {};
}

void Loudspeaker::push(const std::string& answer, int64_t samples, Time now) {
  if (answer != answer_) {
    answer_ = answer;
    end_ = std::max(end_, now + std::chrono::microseconds(static_cast<int64_t>(lead_ms_ * 1000)));
  } else if (now > end_) {
    gaps_ms.push_back(ms_between(end_, now));
    end_ = now;
  }
  end_ += std::chrono::nanoseconds(samples * 1'000'000'000 / kRate);
  seconds += static_cast<double>(samples) / kRate;
}

}  // namespace calliope::bench
