#include "engine/token_mark.h"

#include <bit>
#include <cstring>
#include <random>
#include <utility>

namespace calliope::engine {
namespace {

// SipHash-2-4 with 128 bits of output (Aumasson, Bernstein).
struct Sip {
  uint64_t v0, v1, v2, v3;

  Sip(uint64_t k0, uint64_t k1)
      : v0(k0 ^ 0x736f6d6570736575), v1(k1 ^ 0x646f72616e646f6d ^ 0xee), v2(k0 ^ 0x6c7967656e657261), v3(k1 ^ 0x7465646279746573) {}
  void round() {
    v0 += v1, v1 = std::rotl(v1, 13) ^ v0, v0 = std::rotl(v0, 32);
    v2 += v3, v3 = std::rotl(v3, 16) ^ v2;
    v0 += v3, v3 = std::rotl(v3, 21) ^ v0;
    v2 += v1, v1 = std::rotl(v1, 17) ^ v2, v2 = std::rotl(v2, 32);
  }
  void word(uint64_t m) {
    v3 ^= m;
    round();
    round();
    v0 ^= m;
  }
  uint64_t out() {
    for (int i = 0; i < 4; ++i) round();
    return v0 ^ v1 ^ v2 ^ v3;
  }
};

Sip keyed() {
  static const auto key = [] {
    std::random_device random;
    const auto word = [&] { return uint64_t{random()} << 32 | random(); };
    return std::pair(word(), word());
  }();
  return Sip(key.first, key.second);
}

ContentHash finish(Sip& sip, std::span<const std::byte> bytes) {
  size_t at = 0;
  for (; at + 8 <= bytes.size(); at += 8) {
    uint64_t m;
    std::memcpy(&m, bytes.data() + at, 8);
    sip.word(m);
  }
  uint64_t last = 0;
  if (at < bytes.size()) std::memcpy(&last, bytes.data() + at, bytes.size() - at);
  sip.word(last | uint64_t{bytes.size()} << 56);
  sip.v2 ^= 0xee;
  const uint64_t a = sip.out();
  sip.v1 ^= 0xdd;
  return {a, sip.out()};
}

}  // namespace

ContentHash content_hash(std::span<const std::byte> bytes) {
  Sip sip = keyed();
  return finish(sip, bytes);
}

ContentHash content_hash(const assistant::Image& image) {
  Sip sip = keyed();
  sip.word(1);
  sip.word(static_cast<uint64_t>(image.width));
  sip.word(static_cast<uint64_t>(image.height));
  return finish(sip, std::as_bytes(std::span(image.rgb)));
}

ContentHash content_hash(std::span<const float> numbers, std::initializer_list<uint64_t> also) {
  Sip sip = keyed();
  sip.word(2 + also.size());
  for (const uint64_t word : also) sip.word(word);
  return finish(sip, std::as_bytes(numbers));
}

}  // namespace calliope::engine
