#include "media/worker_protocol.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <exception>
#include <new>

namespace calliope::media::detail {

namespace {

// Until the socket is ready, or the deadline.
Io wait_for(int socket, short events, Deadline deadline) {
  while (true) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now()).count();
    if (left <= 0) return Io::late;
    pollfd entry{socket, events, 0};
    const int ready = poll(&entry, 1, static_cast<int>(std::min<int64_t>(left, INT_MAX)));
    if (ready > 0) return Io::done;
    if (ready < 0 && errno != EINTR) return Io::closed;
  }
}

template <class Bytes, class Transfer>
Io transfer_all(int socket, Bytes bytes, short events, Deadline deadline, Transfer transfer) {
  while (!bytes.empty()) {
    const ssize_t count = transfer(bytes);
    if (count > 0) {
      bytes = bytes.subspan(static_cast<size_t>(count));
    } else if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      if (const Io io = wait_for(socket, events, deadline); io != Io::done) return io;
    } else if (count == 0 || errno != EINTR) {
      return Io::closed;
    }
  }
  return Io::done;
}

}  // namespace

Io send_all(int socket, std::span<const std::byte> bytes, Deadline deadline) {
  return transfer_all(socket, bytes, POLLOUT, deadline, [socket](std::span<const std::byte> left) {
    return send(socket, left.data(), left.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  });
}

Io receive_all(int socket, std::span<std::byte> bytes, Deadline deadline) {
  return transfer_all(socket, bytes, POLLIN, deadline, [socket](std::span<std::byte> left) {
    return recv(socket, left.data(), left.size(), MSG_DONTWAIT);
  });
}

bool write_all(int fd, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t count = write(fd, bytes.data(), bytes.size());
    if (count > 0)
      bytes = bytes.subspan(static_cast<size_t>(count));
    else if (count == 0 || errno != EINTR)
      return false;
  }
  return true;
}

bool read_all(int fd, std::span<std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t count = read(fd, bytes.data(), bytes.size());
    if (count > 0)
      bytes = bytes.subspan(static_cast<size_t>(count));
    else if (count == 0 || errno != EINTR)
      return false;
  }
  return true;
}

bool write_reply(int fd, ReplyHeader header, std::span<const std::byte> body) {
  header.size = body.size();
  return write_all(fd, std::as_bytes(std::span(&header, 1))) && write_all(fd, body);
}

bool write_error(int fd, ErrorCode code, std::string_view message) {
  return write_reply(fd, {.status = 1 + static_cast<uint32_t>(code)},
                     std::as_bytes(std::span(message.substr(0, kMessageBytes))));
}

std::optional<Request> read_request(int fd) {
  Request request;
  if (!read_all(fd, std::as_writable_bytes(std::span(&request.header, 1))) || request.header.magic != kMagic) return {};
  request.file.resize(request.header.size);
  if (!read_all(fd, std::as_writable_bytes(std::span(request.file)))) return {};
  return request;
}

void answer(int fd, const Request& request) {
  try {
    if (request.header.kind == Kind::picture) {
      const auto picture = decode_picture(request.file, request.header.limits);
      if (!picture)
        write_error(fd, picture.error().code, picture.error().message);
      else
        write_reply(fd, {.width = picture->width, .height = picture->height}, std::as_bytes(std::span(picture->rgb)));
    } else {
      const auto samples = decode_sound(request.file, request.header.limits);
      if (!samples)
        write_error(fd, samples.error().code, samples.error().message);
      else
        write_reply(fd, {}, std::as_bytes(std::span(*samples)));
    }
  } catch (const std::bad_alloc&) {
    write_error(fd, ErrorCode::too_large, "decoding this file needs too much memory; send a smaller one");
  } catch (const std::exception& error) {
    write_error(fd, ErrorCode::invalid_argument, error.what());
  }
}

}  // namespace calliope::media::detail
