#pragma once

namespace calliope::media::detail {

#if defined(__SANITIZE_ADDRESS__)
inline constexpr bool kSanitized = true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(memory_sanitizer) || __has_feature(thread_sanitizer)
inline constexpr bool kSanitized = true;
#else
inline constexpr bool kSanitized = false;
#endif
#else
inline constexpr bool kSanitized = false;
#endif

/// What a decoder may do: compute, allocate up to 3 GiB, start threads, and read and write standard input, which is its
/// socket. A system call that opens files, sockets or processes ends it or fails with EPERM. Builds with a sanitizer
/// leave out the system call filter and the limit on memory, which sanitizers cannot live with.
class Sandbox {
 public:
  Sandbox();
  ~Sandbox();
  Sandbox(const Sandbox&) = delete;
  Sandbox& operator=(const Sandbox&) = delete;

  /// Confines this process for good; false when the system refuses.
  bool enter() const;

 private:
  void* filter_ = nullptr;
};

}  // namespace calliope::media::detail
