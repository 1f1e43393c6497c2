#pragma once

#include <sys/types.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"

namespace calliope::media::detail {

/// An open file that is closed with this.
class File {
 public:
  File() = default;
  explicit File(int fd) : fd_(fd) {}
  File(File&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  File& operator=(File&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~File();
  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

/// A process that runs run_worker(). It holds no secret and reads no byte from outside: each job is decoded by a fresh
/// copy of it (fork), so that a file can neither see nor change the next one.
class WorkerProcess {
 public:
  /// Starts `command` (program and arguments) with one end of a control socket as its standard input. io when it cannot
  /// be started.
  static Result<std::unique_ptr<WorkerProcess>> start(const std::vector<std::string>& command);
  ~WorkerProcess();

  /// A socket to a job of its own; not open when the worker has gone. Whatever ran before is ended.
  File begin_job();
  /// Ends the job that runs, if one does.
  void end_job();
  /// False once the process has exited.
  bool alive();

 private:
  WorkerProcess(pid_t process, File control) : process_(process), control_(std::move(control)) {}

  pid_t process_;  // 0 once it is reaped
  File control_;
};

/// Takes jobs from the control socket at standard input until it is closed, one at a time, each as `job(socket)` in a
/// confined copy of this process. Returns the exit status.
int run_worker(void (*job)(int socket));

}  // namespace calliope::media::detail
