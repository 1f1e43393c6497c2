#include "media/worker_process.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <string_view>
#include <thread>

extern char** environ;

namespace calliope::media::detail {

namespace {

// What a worker inherits of the environment: what loads its libraries, and no keys or passwords.
std::vector<char*> worker_environment() {
  std::vector<char*> kept;
  for (char** entry = environ; entry && *entry; ++entry) {
    for (const std::string_view name :
         {"LD_LIBRARY_PATH=", "LIBHEIF_PLUGIN_PATH=", "ASAN_OPTIONS=", "UBSAN_OPTIONS="}) {
      if (std::string_view(*entry).starts_with(name)) kept.push_back(*entry);
    }
  }
  kept.push_back(nullptr);
  return kept;
}

struct SpawnSetup {
  posix_spawn_file_actions_t files;
  posix_spawnattr_t attributes;

  explicit SpawnSetup(int control) {
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_adddup2(&files, control, STDIN_FILENO);
    posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addclosefrom_np(&files, STDERR_FILENO + 1);
    posix_spawnattr_init(&attributes);
    // A group of its own: Ctrl-C is for the server, which closes the control socket when it is done.
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setpgroup(&attributes, 0);
    sigset_t none, usual;
    sigemptyset(&none);
    sigfillset(&usual);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &usual);
  }
  ~SpawnSetup() {
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attributes);
  }
};

}  // namespace

File::~File() {
  if (fd_ >= 0) close(fd_);
}

Result<std::unique_ptr<WorkerProcess>> WorkerProcess::start(const std::vector<std::string>& command) {
  const auto refuse = [&](int error) {
    return fail(ErrorCode::io, "cannot start the decoder process " + command.front() + ": " + std::strerror(error));
  };
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) return refuse(errno);
  File ours(ends[0]), theirs(ends[1]);
  const SpawnSetup setup(theirs.get());
  std::vector<char*> arguments;
  for (const std::string& argument : command) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  const auto environment = worker_environment();
  pid_t process = 0;
  const int error =
      posix_spawn(&process, arguments[0], &setup.files, &setup.attributes, arguments.data(), environment.data());
  if (error != 0) return refuse(error);
  return std::unique_ptr<WorkerProcess>(new WorkerProcess(process, std::move(ours)));
}

WorkerProcess::~WorkerProcess() {
  { const File closed = std::move(control_); }  // which ends it, and its job
  for (int i = 0; i < 1000 && alive(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  if (process_ == 0) return;
  kill(process_, SIGKILL);
  while (waitpid(process_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

File WorkerProcess::begin_job() {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return File();
  File ours(ends[0]);
  const File theirs(ends[1]);
  char byte = 1;
  iovec data{&byte, 1};
  alignas(cmsghdr) char space[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = space;
  message.msg_controllen = sizeof space;
  cmsghdr* rights = CMSG_FIRSTHDR(&message);
  rights->cmsg_level = SOL_SOCKET;
  rights->cmsg_type = SCM_RIGHTS;
  rights->cmsg_len = CMSG_LEN(sizeof(int));
  std::memcpy(CMSG_DATA(rights), &ends[1], sizeof(int));
  ssize_t sent;
  do sent = sendmsg(control_.get(), &message, MSG_NOSIGNAL);
  while (sent < 0 && errno == EINTR);
  return sent == 1 ? std::move(ours) : File();
}

void WorkerProcess::end_job() {
  const char byte = 0;
  while (send(control_.get(), &byte, 1, MSG_NOSIGNAL) < 0 && errno == EINTR) {
  }
}

bool WorkerProcess::alive() {
  if (process_ == 0) return false;
  const pid_t reaped = waitpid(process_, nullptr, WNOHANG);
  if (reaped == process_ || (reaped < 0 && errno == ECHILD)) process_ = 0;
  return process_ != 0;
}

}  // namespace calliope::media::detail
