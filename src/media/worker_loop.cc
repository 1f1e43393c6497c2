#include <fcntl.h>
#include <libheif/heif.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstring>

#include "media/worker.h"
#include "media/worker_process.h"
#include "media/worker_protocol.h"
#include "media/worker_sandbox.h"

namespace calliope::media {
namespace detail {

namespace {

constexpr int kControl = STDIN_FILENO;

// The next message's socket; not open when it carries none. `closed` is set when the server has gone.
File receive_job(bool& closed) {
  char byte = 0;
  iovec data{&byte, 1};
  alignas(cmsghdr) char space[CMSG_SPACE(sizeof(int))];
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = space;
  message.msg_controllen = sizeof space;
  ssize_t count;
  do count = recvmsg(kControl, &message, MSG_CMSG_CLOEXEC);
  while (count < 0 && errno == EINTR);
  closed = count <= 0;
  const cmsghdr* rights = closed ? nullptr : CMSG_FIRSTHDR(&message);
  if (!rights || rights->cmsg_level != SOL_SOCKET || rights->cmsg_type != SCM_RIGHTS) return File();
  int fd = -1;
  std::memcpy(&fd, CMSG_DATA(rights), sizeof fd);
  return File(fd);
}

// In the copy: keeps the job's socket as standard input and `done`, whose closing says that this process has ended.
[[noreturn]] void run_job(const Sandbox& sandbox, void (*job)(int), int socket, int done, pid_t worker) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != worker) _exit(1);
  dup2(socket, STDIN_FILENO);
  if (!kSanitized) dup2(STDOUT_FILENO, STDERR_FILENO);
  dup2(done, STDERR_FILENO + 1);
  close_range(STDERR_FILENO + 2, UINT_MAX, 0);
  if (sandbox.enter())
    job(STDIN_FILENO);
  else
    write_error(STDIN_FILENO, ErrorCode::internal, "this system does not let the decoder be confined (seccomp)");
  _exit(0);
}

// Until the job has ended or the server says something; then the job is over in any case.
void wait_for_job(pid_t job, int done) {
  pollfd entries[] = {{kControl, POLLIN, 0}, {done, POLLIN, 0}};
  while (poll(entries, 2, -1) < 0 && errno == EINTR) {
  }
  kill(job, SIGKILL);
  while (waitpid(job, nullptr, 0) < 0 && errno == EINTR) {
  }
}

}  // namespace

int run_worker(void (*job)(int socket)) {
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  mallopt(M_ARENA_MAX, 1);
  heif_init(nullptr);  // looks for plugins, which the sandbox forbids
  const Sandbox sandbox;
  const pid_t worker = getpid();
  for (bool closed = false; true;) {
    File socket = receive_job(closed);
    if (closed) return 0;
    int ends[2];
    if (!socket || pipe2(ends, O_CLOEXEC) != 0) continue;
    const File done(ends[0]);
    File done_writer(ends[1]);
    const pid_t child = fork();
    if (child == 0) run_job(sandbox, job, socket.get(), done_writer.get(), worker);
    done_writer = File();
    socket = File();
    if (child > 0) wait_for_job(child, done.get());
  }
}

}  // namespace detail

int media_worker_main() {
  return detail::run_worker([](int socket) {
    if (const auto request = detail::read_request(socket)) detail::answer(socket, *request);
  });
}

}  // namespace calliope::media
