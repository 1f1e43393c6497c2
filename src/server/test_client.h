// A plain blocking HTTP client over a real socket, for this room's tests.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <string_view>

namespace calliope::server {

struct Response {
  int status = 0;
  std::string head;  ///< with its lines in lower case
  std::string body;  ///< chunks joined
  bool has(std::string_view line) const { return head.find(line) != std::string::npos; }
};

class TestClient {
 public:
  explicit TestClient(uint16_t port, int receive_buffer_bytes = 0) {
    socket_ = ::socket(AF_INET, SOCK_STREAM, 0);
    if (receive_buffer_bytes > 0)
      setsockopt(socket_, SOL_SOCKET, SO_RCVBUF, &receive_buffer_bytes, sizeof receive_buffer_bytes);
    const timeval timeout{.tv_sec = 20, .tv_usec = 0};
    setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = ::connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  }
  ~TestClient() { close(); }
  TestClient(const TestClient&) = delete;

  bool connected() const { return connected_; }
  void close() {
    if (socket_ >= 0) ::close(socket_);
    socket_ = -1;
  }
  void write(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return;
      bytes.remove_prefix(static_cast<size_t>(sent));
    }
  }
  /// Reads more into the buffer; false at the end.
  bool more() {
    char bytes[16384];
    const ssize_t got = ::recv(socket_, bytes, sizeof bytes, 0);
    if (got <= 0) return false;
    buffer_.append(bytes, static_cast<size_t>(got));
    return true;
  }
  /// Whether the server closes the connection without sending more.
  bool closed() { return buffer_.empty() && !more(); }
  bool wait_for(std::string_view text) {
    while (buffer_.find(text) == std::string::npos) {
      if (!more()) return false;
    }
    return true;
  }

  /// Takes so many bytes; less at the end.
  std::string take(size_t size) {
    while (buffer_.size() < size && more()) {
    }
    std::string bytes = buffer_.substr(0, size);
    buffer_.erase(0, bytes.size());
    return bytes;
  }
  /// Reads the head of a response alone; finish() reads its body.
  Response read_head() { return read(true); }
  Response finish(Response response) {
    const size_t field = response.head.find("content-length: ");
    if (field != std::string::npos) response.body = take(std::stoul(response.head.substr(field + 16)));
    return response;
  }

  /// Reads one response. `no_body` for answers to HEAD.
  Response read(bool no_body = false) {
    Response response;
    if (!wait_for("\r\n\r\n")) return response;
    const size_t end = buffer_.find("\r\n\r\n") + 4;
    response.head = buffer_.substr(0, end);
    buffer_.erase(0, end);
    std::ranges::transform(response.head, response.head.begin(), [](unsigned char c) { return std::tolower(c); });
    response.status = std::stoi(response.head.substr(9, 3));
    if (response.status == 100) return read(no_body);
    if (no_body || response.status == 204 || response.status == 304) return response;
    if (response.has("transfer-encoding: chunked")) {
      while (true) {
        if (!wait_for("\r\n")) return response;
        const size_t size = std::stoul(buffer_, nullptr, 16);
        buffer_.erase(0, buffer_.find("\r\n") + 2);
        while (buffer_.size() < size + 2 && more()) {
        }
        if (buffer_.size() < size + 2) return response;
        response.body += buffer_.substr(0, size);
        buffer_.erase(0, size + 2);
        if (size == 0) return response;
      }
    }
    const size_t field = response.head.find("content-length: ");
    const size_t length = field == std::string::npos ? SIZE_MAX : std::stoul(response.head.substr(field + 16));
    while (buffer_.size() < length && more()) {
    }
    response.body = buffer_.substr(0, length);
    buffer_.erase(0, response.body.size());
    return response;
  }

  Response get(std::string_view path, std::string_view headers = {}, std::string_view method = "GET") {
    write(std::string(method) + " " + std::string(path) + " HTTP/1.1\r\nHost: x\r\n" + std::string(headers) + "\r\n");
    return read(method == "HEAD");
  }
  void start_post(std::string_view body, std::string_view headers = "Content-Type: application/json\r\n",
                  std::string_view path = "/v1/chat/completions") {
    write("POST " + std::string(path) + " HTTP/1.1\r\nHost: x\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" +
          std::string(headers) + "\r\n" + std::string(body));
  }
  Response post(std::string_view body, std::string_view headers = "Content-Type: application/json\r\n") {
    start_post(body, headers);
    return read();
  }

 private:
  int socket_ = -1;
  bool connected_ = false;
  std::string buffer_;
};

/// A chat body with one user message; `fields` are further top-level ones, each ending in a comma.
inline std::string chat_body(std::string_view text, std::string_view fields = {}) {
  return "{" + std::string(fields) + R"("messages":[{"role":"user","content":")" + std::string(text) + "\"}]}";
}

}  // namespace calliope::server
