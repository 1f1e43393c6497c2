#include "tensor/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace calliope::tensor {

Result<MappedFile> MappedFile::open(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) {
    return fail(errno == ENOENT ? ErrorCode::not_found : ErrorCode::io,
                "cannot open " + path + ": " + std::strerror(errno), path);
  }
  struct stat info {};
  const bool regular = ::fstat(descriptor, &info) == 0 && S_ISREG(info.st_mode);
  const size_t size = regular ? static_cast<size_t>(info.st_size) : 0;
  void* memory = size > 0 ? ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, descriptor, 0) : nullptr;
  ::close(descriptor);
  if (!regular) return fail(ErrorCode::io, path + " is not a file", path);
  if (memory == MAP_FAILED) return fail(ErrorCode::io, "cannot map " + path, path);
  MappedFile file;
  file.mapping_ = {memory, [size](const void* p) {
                     if (p) ::munmap(const_cast<void*>(p), size);
                   }};
  file.bytes_ = {static_cast<const std::byte*>(memory), size};
  return file;
}

}  // namespace calliope::tensor
