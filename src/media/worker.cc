#include "media/worker.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <mutex>

#include "base/utf8.h"
#include "media/worker_process.h"
#include "media/worker_protocol.h"

namespace calliope::media {

using detail::Io;
using detail::Kind;
using detail::WorkerProcess;

namespace {

std::vector<std::string> default_command() {
  const char* program = std::getenv("CALLIOPE_MEDIA_WORKER");
  return {program && *program ? program : "/proc/self/exe", "--media-worker"};
}

const char* name_of(Kind kind) { return kind == Kind::picture ? "picture" : "sound"; }

std::unexpected<Error> crashed(Kind kind) {
  return fail(
      ErrorCode::invalid_argument,
      fmt::format("the {} could not be decoded: its decoder crashed; the file is damaged or hostile", name_of(kind)));
}

// A message of a decoder as text that is safe to show: the decoder may be in a stranger's hands.
std::string printable(std::string message) {
  for (char& c : message) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  }
  return utf8_lossy(message);
}

// One request on one job's socket.
class Call {
 public:
  Call(int socket, Kind kind, const DecodePool::Options& options)
      : socket_(socket),
        kind_(kind),
        limits_(options.limits),
        deadline_ms_(options.deadline_ms),
        deadline_(std::chrono::steady_clock::now() + std::chrono::milliseconds(options.deadline_ms)) {}

  Result<Picture> picture(std::span<const uint8_t> file) {
    TRY(const auto reply, ask(file));
    const auto& [width, height] = std::pair(reply.width, reply.height);
    if (width <= 0 || height <= 0 || width > limits_.side || height > limits_.side ||
        int64_t{width} * height > limits_.pixels || reply.size != uint64_t(width) * uint64_t(height) * 3) {
      return crashed(kind_);
    }
    Picture picture{width, height, std::vector<uint8_t>(reply.size)};
    TRY_VOID(receive(picture.rgb));
    return picture;
  }

  Result<std::vector<float>> sound(std::span<const uint8_t> file) {
    TRY(const auto reply, ask(file));
    const uint64_t most = uint64_t(std::max(0, limits_.sound_seconds)) * kSoundRate;
    if (reply.size == 0 || reply.size % sizeof(float) != 0 || reply.size / sizeof(float) > most) return crashed(kind_);
    std::vector<float> samples(reply.size / sizeof(float));
    TRY_VOID(receive(samples));
    if (!std::ranges::all_of(samples, [](float sample) { return std::abs(sample) <= 1.0f; })) return crashed(kind_);
    return samples;
  }

 private:
  Result<detail::ReplyHeader> ask(std::span<const uint8_t> file) {
    const detail::RequestHeader request{.kind = kind_, .size = file.size(), .limits = limits_};
    TRY_VOID(checked(detail::send_all(socket_, std::as_bytes(std::span(&request, 1)), deadline_)));
    TRY_VOID(checked(detail::send_all(socket_, std::as_bytes(file), deadline_)));
    detail::ReplyHeader reply;
    TRY_VOID(receive(std::span(&reply, 1)));
    if (reply.magic != detail::kMagic) return crashed(kind_);
    if (reply.status == detail::kDecoded) return reply;
    const auto code = static_cast<ErrorCode>(reply.status - 1);
    const bool known = code == ErrorCode::invalid_argument || code == ErrorCode::unsupported ||
                       code == ErrorCode::too_large || code == ErrorCode::internal;
    if (!known || reply.size == 0 || reply.size > detail::kMessageBytes) return crashed(kind_);
    std::string message(reply.size, ' ');
    TRY_VOID(receive(message));
    return fail(code, printable(std::move(message)));
  }

  template <class Range>
  Result<void> receive(Range&& range) {
    return checked(detail::receive_all(socket_, std::as_writable_bytes(std::span(range)), deadline_));
  }

  Result<void> checked(Io io) const {
    if (io == Io::done) return {};
    if (io == Io::closed) return crashed(kind_);
    return fail(ErrorCode::invalid_argument,
                fmt::format("the {} took too long to decode (over {:g} s); send a smaller or simpler one",
                            name_of(kind_), deadline_ms_ / 1e3));
  }

  int socket_;
  Kind kind_;
  const DecodeLimits& limits_;
  int deadline_ms_;
  detail::Deadline deadline_;
};

}  // namespace

struct DecodePool::State {
  Options options;
  std::mutex mutex;
  std::condition_variable freed;
  std::vector<std::unique_ptr<WorkerProcess>> idle;  // started and free
  int busy = 0;                                      // lent to a call, or being started by one

  // Waits for a turn; null when this call is to start a worker.
  std::unique_ptr<WorkerProcess> borrow() {
    std::unique_lock lock(mutex);
    freed.wait(lock, [&] { return busy < options.workers; });
    ++busy;
    if (idle.empty()) return nullptr;
    auto worker = std::move(idle.back());
    idle.pop_back();
    return worker;
  }

  void give_back(std::unique_ptr<WorkerProcess> worker) {
    {
      const std::lock_guard lock(mutex);
      --busy;
      if (worker) idle.push_back(std::move(worker));
    }
    freed.notify_one();
  }

  // Gives the turn back whatever happens.
  struct Turn {
    State& state;
    std::unique_ptr<WorkerProcess> worker;
    explicit Turn(State& owner) : state(owner), worker(owner.borrow()) {}
    ~Turn() { state.give_back(std::move(worker)); }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;

    // A job's socket, from a new worker when there is none or it has died meanwhile.
    Result<detail::File> begin_job() {
      if (worker) {
        if (detail::File socket = worker->begin_job()) return socket;
        worker.reset();
      }
      TRY(worker, WorkerProcess::start(state.options.command));
      if (detail::File socket = worker->begin_job()) return socket;
      worker.reset();
      return fail(ErrorCode::io,
                  "cannot open a socket to the decoder process; raise the limit on open files (ulimit -n)");
    }
  };

  template <class Ask>
  auto call(Kind kind, Ask ask) -> decltype(ask(std::declval<Call&>())) {
    Turn turn(*this);
    TRY(const detail::File socket, turn.begin_job());
    Call call(socket.get(), kind, options);
    auto result = ask(call);
    if (!turn.worker->alive())
      turn.worker.reset();
    else if (!result)
      turn.worker->end_job();
    return result;
  }
};

DecodePool::DecodePool(Options options) : state_(std::make_unique<State>()) {
  if (options.command.empty()) options.command = default_command();
  options.workers = std::max(options.workers, 1);
  state_->options = std::move(options);
}

DecodePool::~DecodePool() = default;

Result<Picture> DecodePool::picture(std::span<const uint8_t> bytes) {
  const DecodeLimits& limits = state_->options.limits;
  if (bytes.empty() || bytes.size() > limits.picture_bytes) return decode_picture(bytes, limits);  // only says so
  return state_->call(Kind::picture, [&](Call& call) { return call.picture(bytes); });
}

Result<std::vector<float>> DecodePool::sound(std::span<const uint8_t> bytes) {
  const DecodeLimits& limits = state_->options.limits;
  if (bytes.empty() || bytes.size() > limits.sound_bytes) return decode_sound(bytes, limits);  // only says so
  return state_->call(Kind::sound, [&](Call& call) { return call.sound(bytes); });
}

}  // namespace calliope::media
