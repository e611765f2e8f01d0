// Any text as filter and topic (parted by the first line feed), against plain restatements of section 4.7 and
// of UTF-8 that are too slow to be the code.
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/check.h"
#include "mqtt/topic.h"

namespace courier::mqtt {
namespace {

using Levels = std::vector<std::string>;

Levels split(std::string_view text) {
  Levels levels(1);
  for (const char c : text) {
    if (c == '/') {
      levels.emplace_back();
    } else {
      levels.back().push_back(c);
    }
  }
  return levels;
}

bool plainly_a_filter(std::string_view text) {
  if (text.empty() || text.size() > 65'535) return false;
  const Levels levels = split(text);
  for (size_t i = 0; i < levels.size(); ++i) {
    if (levels[i] == "+" || (levels[i] == "#" && i + 1 == levels.size())) continue;
    if (levels[i].find('+') != std::string::npos || levels[i].find('#') != std::string::npos) return false;
  }
  return true;
}

bool plainly_matches(std::string_view filter, std::string_view topic) {
  const Levels wanted = split(filter);
  const Levels levels = split(topic);
  if (!topic.empty() && topic[0] == '$' && !filter.empty() && (filter[0] == '+' || filter[0] == '#'))
    return false;
  for (size_t i = 0; i < wanted.size(); ++i) {
    if (wanted[i] == "#") return true;
    if (i == levels.size()) return false;
    if (wanted[i] != "+" && wanted[i] != levels[i]) return false;
    if (i + 1 == levels.size() && i + 2 == wanted.size() && wanted[i + 1] == "#") return true;
  }
  return wanted.size() == levels.size();
}

// Decodes to code points and judges those.
bool plainly_utf8(std::string_view text, bool nul_allowed) {
  size_t i = 0;
  while (i < text.size()) {
    const unsigned lead = static_cast<unsigned char>(text[i]);
    const size_t length = lead < 0x80       ? 1
                          : lead >> 5 == 6  ? 2
                          : lead >> 4 == 14 ? 3
                          : lead >> 3 == 30 ? 4
                                            : 0;
    if (length == 0 || i + length > text.size()) return false;
    uint32_t point = length == 1 ? lead : lead & (0x7F >> length);
    for (size_t k = 1; k < length; ++k) {
      const unsigned next = static_cast<unsigned char>(text[i + k]);
      if (next >> 6 != 2) return false;
      point = point << 6 | (next & 0x3F);
    }
    const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    if (point < least[length] || point > 0x10FFFF || (point >= 0xD800 && point <= 0xDFFF)) return false;
    if (point == 0 && !nul_allowed) return false;
    i += length;
  }
  return true;
}

void check_shared(std::string_view text) {
  const std::optional<SharedFilter> shared = parse_shared(text);
  const Levels levels = split(text);
  CHECK(is_shared(text) == (levels[0] == "$share"));
  const bool plainly = levels.size() >= 3 && levels[0] == "$share" && !levels[1].empty() &&
                       !has_wildcard(levels[1]) &&
                       plainly_a_filter(text.substr(levels[0].size() + levels[1].size() + 2));
  CHECK(shared.has_value() == plainly);
  if (shared) CHECK("$share/" + std::string(shared->group) + "/" + std::string(shared->filter) == text);
}

void check(std::string_view text) {
  CHECK(is_utf8(text) == plainly_utf8(text, false));
  CHECK(is_utf8_with_nul(text) == plainly_utf8(text, true));
  CHECK(is_topic_filter(text) == plainly_a_filter(text));
  CHECK(has_wildcard(text) == (text.find_first_of("+#") != std::string_view::npos));
  CHECK(level_count(text) == split(text).size());
  CHECK(!is_topic_name(text) || (is_topic_filter(text) && matches(text, text)));
  check_shared(text);
}

}  // namespace
}  // namespace courier::mqtt

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace courier::mqtt;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const size_t line_end = bytes.find('\n');
  const std::string_view filter = bytes.substr(0, line_end);
  const std::string_view topic =
      line_end == std::string_view::npos ? std::string_view() : bytes.substr(line_end + 1);
  check(filter);
  check(topic);
  if (is_topic_filter(filter) && is_topic_name(topic)) {
    CHECK(matches(filter, topic) == plainly_matches(filter, topic));
  }
  return 0;
}
