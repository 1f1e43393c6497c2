// The worker of media_test: decodes as the real one, and behaves like a decoder in a stranger's hands for a file that
// says "misbehave: ".
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <string>
#include <string_view>

#include "media/worker_process.h"
#include "media/worker_protocol.h"

namespace {

using namespace calliope;
using namespace calliope::media::detail;

constexpr int kSocket = 0;

void report(long result) { write_error(kSocket, ErrorCode::unsupported, result < 0 ? "refused" : "allowed"); }

std::span<const std::byte> zeros(size_t size) {
  static std::byte bytes[4096];
  return std::span(bytes).first(size);
}

void misbehave(std::string_view how) {
  // Ends without a proper answer.
  if (how == "crash") std::raise(SIGKILL);
  if (how == "jump") reinterpret_cast<void (*)()>(8)();
  if (how == "leave") _exit(0);
  if (how == "spin")
    for (volatile bool on = true; on;) {
    }
  if (how == "half") write_all(kSocket, zeros(3));
  if (how == "kill the worker") kill(getppid(), SIGKILL), pause();
  // Answers nonsense.
  if (how == "no magic") write_reply(kSocket, {.magic = 1, .width = 1, .height = 1}, zeros(3));
  if (how == "negative") write_reply(kSocket, {.width = -1, .height = -1}, zeros(3));
  if (how == "huge") write_reply(kSocket, {.width = 1 << 30, .height = 1 << 30}, zeros(3));
  if (how == "mismatch") write_reply(kSocket, {.width = 2, .height = 2}, zeros(3));
  if (how == "status") write_reply(kSocket, {.status = 77}, zeros(3));
  if (how == "odd sound") write_reply(kSocket, {}, zeros(5));
  if (how == "nan") {
    const float nan = std::strtof("nan", nullptr);
    write_reply(kSocket, {}, std::as_bytes(std::span(&nan, 1)));
  }
  if (how == "endless message") {
    ReplyHeader header{.status = 1};
    header.size = uint64_t{1} << 60;
    write_all(kSocket, std::as_bytes(std::span(&header, 1)));
    while (write_all(kSocket, zeros(4096))) {
    }
  }
  if (how == "control characters") write_error(kSocket, ErrorCode::invalid_argument, "a\x1b[31mb\n\xff");
  if (how == "more than asked")
    write_reply(kSocket, {.width = 1, .height = 1}, zeros(3)), write_all(kSocket, zeros(4096));
  // Tries what the sandbox forbids, and says how it went.
  if (how == "open") report(open("/etc/passwd", O_RDONLY));
  if (how == "socket") report(socket(AF_INET, SOCK_STREAM, 0));
  if (how == "write elsewhere") report(write(2, "", 0));
  if (how == "executable memory")
    report(mmap(nullptr, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? -1 : 0);
  if (how == "signal the worker") report(kill(getppid(), 0));
  if (how == "run a program") execl("/bin/true", "true", nullptr), report(-1);
  if (how == "fork") {
    const pid_t child = fork();
    if (child == 0) _exit(0);
    report(child);
  }
  if (how == "thread") {
    pthread_t thread;
    report(pthread_create(
               &thread, nullptr, [](void*) -> void* { return nullptr; }, nullptr) == 0
               ? pthread_join(thread, nullptr)
               : -1);
  }
  if (how == "memory") report(std::malloc(size_t{3} << 30) ? 0 : -1);
  if (how == "environment") report(std::getenv("CALLIOPE_TEST_SECRET") ? 0 : -1);
}

void job(int socket) {
  const auto request = read_request(socket);
  if (!request) return;
  const std::string_view text(reinterpret_cast<const char*>(request->file.data()), request->file.size());
  constexpr std::string_view kMark = "misbehave: ";
  if (text.starts_with(kMark))
    misbehave(text.substr(kMark.size()));
  else
    answer(socket, *request);
}

}  // namespace

int main() { return run_worker(job); }
