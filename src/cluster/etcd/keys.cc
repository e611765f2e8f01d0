#include "cluster/etcd/keys.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <random>

#include "cluster/etcd/errc.h"
#include "cluster/etcd/limits.h"

namespace courier::cluster::etcd {
namespace {

constexpr size_t kHexDigits = 16;

std::string hex(uint64_t number) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text(kHexDigits, '0');
  for (size_t i = 0; i < kHexDigits; ++i) text[i] = kDigits[(number >> (4 * (kHexDigits - 1 - i))) & 15];
  return text;
}

std::optional<uint64_t> number_of(std::string_view text, int base) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::optional<std::string> rest_after(const std::string& prefix, std::string_view key) {
  if (!key.starts_with(prefix) || key.size() == prefix.size()) return std::nullopt;
  return std::string(key.substr(prefix.size()));
}

using Lines = std::map<std::string, std::string, std::less<>>;

std::string lines_of(const Lines& lines) {
  std::string text = "format=" + std::to_string(kFormat) + "\n";
  for (const auto& [name, value] : lines) text += name + "=" + value + "\n";
  return text;
}

Result<Lines> decode_lines(std::string_view text, std::string_view what) {
  Lines lines;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    const size_t equals = line.find('=');
    if (end == std::string_view::npos || equals == std::string_view::npos) {
      return fail(errc::damaged, "etcd's " + std::string(what) + " cannot be read: a line is no name=value");
    }
    lines[std::string(line.substr(0, equals))] = line.substr(equals + 1);
    text.remove_prefix(end + 1);
  }
  const auto format = number_of(lines["format"], 10);
  if (!format) return fail(errc::damaged, "etcd's " + std::string(what) + " has no format");
  if (*format != kFormat) {
    return fail(errc::newer_format, "etcd's " + std::string(what) + " has format " + std::to_string(*format) +
                                        ", written by another version of Courier; this one knows format " +
                                        std::to_string(kFormat));
  }
  return lines;
}

// Printable ASCII without spaces, or nothing: it is a line's end, goes into logs, and what is for clients
// into their DISCONNECT as it is.
bool is_address(std::string_view text) {
  return text.size() <= kAddressBytesMax &&
         std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c <= '~'; });
}

}  // namespace

Result<void> check_name(std::string_view what, std::string_view name) {
  const bool good = !name.empty() && name.size() <= kNameBytesMax &&
                    std::all_of(name.begin(), name.end(), [](unsigned char c) {
                      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                             c == '-' || c == '_' || c == '.';
                    });
  if (good) return {};
  return fail(errc::bad_options, std::string(what) + " \"" + std::string(name.substr(0, kNameBytesMax)) +
                                     "\" cannot be used: it takes 1 to " + std::to_string(kNameBytesMax) +
                                     " letters, digits, '-', '_' and '.'");
}

Result<Keys> Keys::of(std::string_view cluster) {
  if (Result<void> good = check_name("the cluster's name", cluster); !good) return fail(good.error());
  Keys keys;
  keys.cluster_ = cluster;
  keys.prefix_ = "/courier/" + keys.cluster_ + "/";
  return keys;
}

std::string Keys::log(NodeEpoch epoch) const {
  return log() + hex(epoch.value) + "/";
}
std::string Keys::log(LogKey key) const {
  return log(key.epoch) + hex(key.seq);
}

std::optional<std::string> Keys::node_of(std::string_view key) const {
  return rest_after(nodes(), key);
}
std::optional<std::string> Keys::done_of(std::string_view key) const {
  return rest_after(all_done(), key);
}
std::optional<LogKey> Keys::log_of(std::string_view key) const {
  const auto rest = rest_after(log(), key);
  if (!rest || rest->size() != 2 * kHexDigits + 1 || (*rest)[kHexDigits] != '/') return std::nullopt;
  const auto epoch = number_of(std::string_view(*rest).substr(0, kHexDigits), 16);
  const auto seq = number_of(std::string_view(*rest).substr(kHexDigits + 1), 16);
  if (!epoch || !seq) return std::nullopt;
  return LogKey{NodeEpoch(*epoch), *seq};
}

std::string end_of(std::string prefix) {
  ++prefix.back();  // keys end on a letter or a '/': never on the last byte there is
  return prefix;
}

std::string encode(const Meta& meta) {
  Lines lines = {{"id", meta.id},
                 {"partitions", std::to_string(meta.partitions)},
                 {"created", std::to_string(meta.created)}};
  if (meta.imported) {
    lines["imported"] = std::to_string(meta.imported.value);
    lines["imported_clock"] = std::to_string(meta.imported_clock);
    lines["imported_digest"] = meta.imported_digest;
  }
  return lines_of(lines);
}

Result<Meta> decode_meta(std::string_view value) {
  Result<Lines> lines = decode_lines(value, "key \"meta\"");
  if (!lines) return fail(lines.error());
  const auto partitions = number_of((*lines)["partitions"], 10);
  const auto created = number_of((*lines)["created"], 10);
  if (!partitions || *partitions == 0 || *partitions > kPartitionsMax || !created || (*lines)["id"].empty()) {
    return fail(errc::damaged, "etcd's key \"meta\" lacks an id, a number of partitions or a time");
  }
  const auto imported = lines->contains("imported") ? number_of((*lines)["imported"], 10) : 0;
  if (!imported) return fail(errc::damaged, "etcd's key \"meta\" says no position where the log begins");
  const auto clock = lines->contains("imported_clock") ? number_of((*lines)["imported_clock"], 10) : 0;
  if (!clock) return fail(errc::damaged, "etcd's key \"meta\" says no time of the state that was imported");
  return Meta{(*lines)["id"],      static_cast<uint32_t>(*partitions), static_cast<WallMs>(*created),
              Position(*imported), static_cast<WallMs>(*clock),        (*lines)["imported_digest"]};
}

std::string encode(const NodeValue& node) {
  return lines_of({{"instance", node.instance},
                   {"mesh", node.mesh},
                   {"admin", node.admin},
                   {"clients", node.clients},
                   {"state", node.state == MemberState::draining ? "draining" : "active"}});
}

Result<NodeValue> decode_node(std::string_view value) {
  Result<Lines> lines = decode_lines(value, "key of a node");
  if (!lines) return fail(lines.error());
  const std::string& state = (*lines)["state"];
  if (!is_address((*lines)["mesh"]) || !is_address((*lines)["admin"]) || !is_address((*lines)["clients"]) ||
      (state != "active" && state != "draining")) {
    return fail(errc::damaged, "etcd's key of a node has an address or a state that cannot be");
  }
  return NodeValue{(*lines)["instance"], (*lines)["mesh"], (*lines)["admin"], (*lines)["clients"],
                   state == "draining" ? MemberState::draining : MemberState::active};
}

std::string encode_revision(uint64_t revision) {
  return lines_of({{"revision", std::to_string(revision)}});
}

Result<uint64_t> decode_revision(std::string_view value) {
  Result<Lines> lines = decode_lines(value, "revision");
  if (!lines) return fail(lines.error());
  const auto revision = number_of((*lines)["revision"], 10);
  if (!revision) return fail(errc::damaged, "etcd's key has no revision where one should be");
  return *revision;
}

std::string random_id() {
  std::random_device random;
  std::string id;
  while (id.size() < 2 * kHexDigits) id += hex((uint64_t{random()} << 32) | random());
  return id;
}

}  // namespace courier::cluster::etcd
