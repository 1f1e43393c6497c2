#include "media/worker_sandbox.h"

#include <sched.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <initializer_list>

namespace calliope::media::detail {

namespace {

constexpr rlim_t kMemoryBytes = rlim_t{3} << 30;
constexpr rlim_t kCpuSeconds = 120;

bool limit(int resource, rlim_t most) {
  const rlimit both{most, most};
  return setrlimit(static_cast<__rlimit_resource>(resource), &both) == 0;
}

bool add_rules(scmp_filter_ctx filter) {
  bool good = true;
  const auto allow = [&](int call) { good &= seccomp_rule_add(filter, SCMP_ACT_ALLOW, call, 0) == 0; };
  const auto allow_if = [&](int call, scmp_arg_cmp argument) {
    good &= seccomp_rule_add(filter, SCMP_ACT_ALLOW, call, 1, argument) == 0;
  };
  for (const int call : {SCMP_SYS(read), SCMP_SYS(write)}) allow_if(call, SCMP_A0(SCMP_CMP_EQ, STDIN_FILENO));
  // Memory, but none that can be executed.
  for (const int call : {SCMP_SYS(mmap), SCMP_SYS(mprotect)}) allow_if(call, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
  for (const int call : {SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(brk), SCMP_SYS(madvise)}) allow(call);
  // Threads, but no processes. glibc tries clone3, whose flags a filter cannot see, and falls back to clone.
  constexpr scmp_datum_t kThread = CLONE_VM | CLONE_THREAD;
  allow_if(SCMP_SYS(clone), SCMP_A0(SCMP_CMP_MASKED_EQ, kThread, kThread));
  good &= seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0) == 0;
  for (const int call : {SCMP_SYS(futex), SCMP_SYS(set_robust_list), SCMP_SYS(rseq), SCMP_SYS(sched_yield),
                         SCMP_SYS(sched_getaffinity), SCMP_SYS(gettid), SCMP_SYS(getpid), SCMP_SYS(rt_sigprocmask),
                         SCMP_SYS(rt_sigreturn), SCMP_SYS(exit), SCMP_SYS(exit_group)}) {
    allow(call);
  }
  for (const int call : {SCMP_SYS(clock_gettime), SCMP_SYS(clock_getres), SCMP_SYS(gettimeofday), SCMP_SYS(getrandom),
                         SCMP_SYS(restart_syscall)}) {
    allow(call);
  }
  // No library asks for these: whoever does has taken the process over.
  for (const int call : {SCMP_SYS(execve), SCMP_SYS(execveat), SCMP_SYS(fork), SCMP_SYS(vfork), SCMP_SYS(ptrace),
                         SCMP_SYS(process_vm_readv), SCMP_SYS(process_vm_writev), SCMP_SYS(connect), SCMP_SYS(bind)}) {
    good &= seccomp_rule_add(filter, SCMP_ACT_KILL_PROCESS, call, 0) == 0;
  }
  return good;
}

}  // namespace

Sandbox::Sandbox() {
  if (kSanitized) return;
  filter_ = seccomp_init(SCMP_ACT_ERRNO(EPERM));
  if (filter_ && !add_rules(filter_)) {
    seccomp_release(filter_);
    filter_ = nullptr;
  }
}

Sandbox::~Sandbox() {
  if (filter_) seccomp_release(filter_);
}

bool Sandbox::enter() const {
  bool good = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
  good &= limit(RLIMIT_CORE, 0) && limit(RLIMIT_FSIZE, 0) && limit(RLIMIT_CPU, kCpuSeconds);
  if (kSanitized) return good;
  good &= limit(RLIMIT_AS, kMemoryBytes) && limit(RLIMIT_NOFILE, 0) && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0;
  return good && filter_ && seccomp_load(filter_) == 0;
}

}  // namespace calliope::media::detail
