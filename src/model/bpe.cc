#include "model/bpe.h"

#include <queue>

namespace calliope::model {
namespace {

struct Symbol {
  int32_t id;
  int previous, next;  // -1 at the ends
  bool dead = false;
};

struct Merge {
  uint64_t rank;
  int left;
  int32_t merged;
  // Lowest rank first, then leftmost.
  bool operator<(const Merge& other) const { return rank != other.rank ? rank > other.rank : left > other.left; }
};

uint64_t pair(int32_t left, int32_t right) { return uint64_t(uint32_t(left)) << 32 | uint32_t(right); }

}  // namespace

void Bpe::encode(std::string_view word, std::vector<int32_t>& out) const {
  if (ignore_merges) {
    if (const auto whole = words.find(std::string(word)); whole != words.end()) return out.push_back(whole->second);
  }
  std::vector<Symbol> symbols;
  symbols.reserve(word.size());
  for (const char byte : word) {
    const int32_t id = byte_ids[static_cast<uint8_t>(byte)];
    if (id < 0) continue;
    const int at = static_cast<int>(symbols.size());
    if (at > 0) symbols.back().next = at;
    symbols.push_back({id, at - 1, -1});
  }
  std::priority_queue<Merge> queue;
  const auto offer = [&](int left) {
    if (left < 0 || symbols[static_cast<size_t>(left)].next < 0) return;
    const Symbol& a = symbols[static_cast<size_t>(left)];
    const Symbol& b = symbols[static_cast<size_t>(a.next)];
    const auto found = merges.find(pair(a.id, b.id));
    if (found != merges.end()) queue.push({found->second >> 32, left, static_cast<int32_t>(found->second)});
  };
  for (int i = 0; i + 1 < static_cast<int>(symbols.size()); ++i) offer(i);
  while (!queue.empty()) {
    const Merge merge = queue.top();
    queue.pop();
    Symbol& a = symbols[static_cast<size_t>(merge.left)];
    if (a.dead || a.next < 0) continue;
    Symbol& b = symbols[static_cast<size_t>(a.next)];
    // The pair may be another by now; as in the reference, it is merged at once if the same token comes of it.
    const auto found = merges.find(pair(a.id, b.id));
    if (found == merges.end() || static_cast<int32_t>(found->second) != merge.merged) continue;
    a.id = merge.merged;
    b.dead = true;
    a.next = b.next;
    if (a.next >= 0) symbols[static_cast<size_t>(a.next)].previous = merge.left;
    offer(a.previous);
    offer(merge.left);
  }
  for (const Symbol& symbol : symbols) {
    if (!symbol.dead) out.push_back(symbol.id);
  }
}

}  // namespace calliope::model
