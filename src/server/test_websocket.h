// A plain blocking WebSocket client over a real socket, for this room's tests.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "server/test_client.h"

namespace calliope::server {

class TestWebSocket {
 public:
  /// Connects and upgrades. `headers`: further lines, each ending in CRLF.
  explicit TestWebSocket(uint16_t port, std::string_view target = "/v1/realtime", std::string_view headers = {},
                         int receive_buffer_bytes = 0)
      : client_(port, receive_buffer_bytes) {
    client_.write("GET " + std::string(target) +
                  " HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
                  std::string(headers) + "\r\n");
    response_ = client_.read_head();
    if (response_.status != 101) response_ = client_.finish(response_);
  }

  const Response& response() const { return response_; }
  bool open() const { return response_.status == 101; }

  /// Sends one masked frame. `opcode`: 1 text, 2 binary, 8 close, 9 ping.
  void send(std::string_view payload, int opcode = 1, bool last = true) {
    std::string frame(1, static_cast<char>((last ? 0x80 : 0) | opcode));
    if (payload.size() < 126) {
      frame.push_back(static_cast<char>(0x80 | payload.size()));
    } else {
      const int bytes = payload.size() < 65536 ? 2 : 8;
      frame.push_back(static_cast<char>(0x80 | (bytes == 2 ? 126 : 127)));
      for (int i = bytes - 1; i >= 0; --i) frame.push_back(static_cast<char>(payload.size() >> 8 * i & 0xff));
    }
    frame.append(4, '\0');  // a mask of zeros
    frame += payload;
    client_.write(frame);
  }

  /// The payload of the next frame that is no ping or pong; empty at the end. A close frame: "close CODE REASON".
  std::string next() {
    while (true) {
      const std::string head = client_.take(2);
      if (head.size() < 2) return {};
      const int opcode = head[0] & 0x0f;
      size_t size = head[1] & 0x7f;
      if (size >= 126) {
        const std::string length = client_.take(size == 126 ? 2 : 8);
        size = 0;
        for (const unsigned char byte : length) size = size << 8 | byte;
      }
      const std::string payload = client_.take(size);
      if (opcode == 8) {
        if (payload.size() < 2) return "close";
        const int code = static_cast<unsigned char>(payload[0]) << 8 | static_cast<unsigned char>(payload[1]);
        return "close " + std::to_string(code) + " " + payload.substr(2);
      }
      if (opcode == 9 || opcode == 10) continue;
      return payload;
    }
  }
  /// The next event of a type; others are passed over. Empty at the end.
  std::string wait(std::string_view type) {
    const std::string wanted = "\"type\":\"" + std::string(type) + "\",\"event_id\"";
    while (true) {
      std::string event = next();
      if (event.empty() || event.find(wanted) != std::string::npos) return event;
    }
  }
  void close() { client_.close(); }

 private:
  TestClient client_;
  Response response_;
};

}  // namespace calliope::server
