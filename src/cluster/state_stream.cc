#include "cluster/state_stream.h"

#include <algorithm>
#include <optional>
#include <unordered_set>
#include <utility>

#include "base/crc32c.h"
#include "base/varint.h"
#include "cluster/errc.h"

namespace courier::cluster {

namespace {

constexpr std::string_view kMagic = "courierS";
constexpr size_t kNumberBytes = 4;
constexpr size_t kLogIdBytesMax = 256;

std::string number(uint32_t value) {
  std::string bytes(kNumberBytes, '\0');
  for (size_t i = 0; i < kNumberBytes; ++i) bytes[i] = static_cast<char>(value >> (8 * i));
  return bytes;
}

uint32_t number_of(std::string_view bytes) {
  uint32_t value = 0;
  for (size_t i = 0; i < kNumberBytes; ++i) value |= uint32_t{static_cast<uint8_t>(bytes[i])} << (8 * i);
  return value;
}

void put_text(std::string& out, std::string_view text) {
  put_varint(out, text.size());
  out += text;
}

std::optional<std::string> take_text(std::string_view& bytes, size_t bytes_max) {
  const auto size = take_varint(bytes);
  if (!size || *size > bytes_max || *size > bytes.size()) return std::nullopt;
  std::string text(bytes.substr(0, *size));
  bytes.remove_prefix(*size);
  return text;
}

bool plain(std::string_view name) {
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '-' || c == '_';
  };
  return !name.empty() && name[0] != '.' && std::all_of(name.begin(), name.end(), allowed);
}

std::optional<StateOffer> offer_of(std::string_view bytes) {
  StateOffer offer;
  auto log_id = take_text(bytes, kLogIdBytesMax);
  if (!log_id) return std::nullopt;
  offer.log_id = *std::move(log_id);
  const auto position = take_varint(bytes);
  const auto cursor = position ? take_varint(bytes) : std::nullopt;
  const auto count = cursor ? take_varint(bytes) : std::nullopt;
  if (!count || *count > kStateFilesMax) return std::nullopt;
  offer.position = Position(*position);
  offer.cursor = *cursor;
  uint64_t total = 0;
  std::unordered_set<std::string> names;
  for (uint64_t i = 0; i < *count; ++i) {
    auto name = take_text(bytes, kStateNameBytesMax);
    const auto size = name ? take_varint(bytes) : std::nullopt;
    if (!size || !plain(*name) || !names.insert(*name).second) return std::nullopt;
    if (__builtin_add_overflow(total, *size, &total)) return std::nullopt;
    offer.files.push_back({*std::move(name), *size});
  }
  if (!bytes.empty()) return std::nullopt;
  return offer;
}

}  // namespace

uint64_t StateOffer::bytes() const {
  uint64_t total = 0;
  for (const StateFile& file : files) total += file.size;
  return total;
}

// --- Sending ---

std::string StateWriter::checksum(uint32_t sum) {
  std::string bytes = number(sum);
  total_ = crc32c(bytes, total_);
  return bytes;
}

std::string StateWriter::preamble() {
  std::string bytes(kMagic);
  bytes.push_back(static_cast<char>(kStateVersion));
  return bytes;
}

std::string StateWriter::header(const StateOffer& offer) {
  std::string header;
  put_text(header, offer.log_id);
  put_varint(header, offer.position.value);
  put_varint(header, offer.cursor);
  put_varint(header, offer.files.size());
  for (const StateFile& file : offer.files) {
    put_text(header, file.name);
    put_varint(header, file.size);
  }
  std::string bytes = number(static_cast<uint32_t>(header.size()));
  bytes += header;
  return bytes += checksum(crc32c(header));
}

void StateWriter::add(std::string_view bytes) {
  file_ = crc32c(bytes, file_);
}

std::string StateWriter::end_of_file() {
  return checksum(std::exchange(file_, 0));
}

std::string StateWriter::end() {
  return number(total_);
}

// --- Receiving ---

size_t StateReader::wanted() const {
  switch (stage_) {
    case Stage::preamble:
      return kMagic.size() + 1;
    case Stage::header:
      return header_bytes_;
    case Stage::length:
    case Stage::header_sum:
    case Stage::file_sum:
    case Stage::total:
    case Stage::file:
    case Stage::whole:
      break;
  }
  return kNumberBytes;
}

Result<void> StateReader::feed(std::string_view bytes) {
  while (!bytes.empty()) {
    if (stage_ == Stage::whole) return fail(errc::garbled, "there is something behind the end of the state");
    if (stage_ == Stage::file) {
      const std::string_view part = bytes.substr(0, std::min<uint64_t>(left_, bytes.size()));
      sum_ = crc32c(part, sum_);
      if (Result<void> taken = sink_.on_bytes(part); !taken) return taken;
      bytes.remove_prefix(part.size());
      left_ -= part.size();
      if (left_ == 0) stage_ = Stage::file_sum;
      continue;
    }
    const size_t part = std::min(wanted() - gathered_.size(), bytes.size());
    gathered_ += bytes.substr(0, part);
    bytes.remove_prefix(part);
    if (gathered_.size() < wanted()) return {};
    const std::string whole = std::exchange(gathered_, {});
    if (Result<void> taken = take(whole); !taken) return taken;
  }
  return {};
}

Result<void> StateReader::end() const {
  if (stage_ == Stage::whole) return {};
  return fail(errc::cut, "the state that was sent ends in the middle");
}

Result<void> StateReader::take(std::string_view bytes) {
  switch (stage_) {
    case Stage::preamble: {
      if (!bytes.starts_with(kMagic)) return fail(errc::garbled, "what was sent is no state of a node");
      const auto version = static_cast<uint8_t>(bytes.back());
      if (version != kStateVersion) {
        return fail(errc::newer_format, "the state was sent in the format " + std::to_string(version) +
                                            ", and this Courier reads format " +
                                            std::to_string(kStateVersion));
      }
      stage_ = Stage::length;
      return {};
    }
    case Stage::length:
      header_bytes_ = number_of(bytes);
      if (header_bytes_ == 0 || header_bytes_ > kStateHeaderBytesMax)
        return fail(errc::garbled, "the header of the state is garbled");
      stage_ = Stage::header;
      return {};
    case Stage::header:
      return open_header(bytes);
    case Stage::header_sum: {
      if (Result<void> same = compare(bytes, sum_, "the header"); !same) return same;
      if (Result<void> taken = sink_.on_offer(offer_); !taken) return taken;
      file_ = 0;
      return next_file();
    }
    case Stage::file_sum: {
      if (Result<void> same = compare(bytes, sum_, "the file " + offer_.files[file_].name); !same)
        return same;
      if (Result<void> taken = sink_.on_file_end(); !taken) return taken;
      ++file_;
      return next_file();
    }
    case Stage::total:
      if (number_of(bytes) != total_) return fail(errc::garbled, "the state's last checksum is wrong");
      stage_ = Stage::whole;
      return {};
    case Stage::file:
    case Stage::whole:
      break;
  }
  return {};
}

// The checksum tells damage; that the header makes sense is looked at all the same, since who sent it may
// have computed one for nonsense.
Result<void> StateReader::open_header(std::string_view bytes) {
  auto offer = offer_of(bytes);
  if (!offer) return fail(errc::garbled, "the header of the state is garbled");
  offer_ = *std::move(offer);
  sum_ = crc32c(bytes);
  stage_ = Stage::header_sum;
  return {};
}

Result<void> StateReader::next_file() {
  sum_ = 0;
  if (file_ == offer_.files.size()) {
    stage_ = Stage::total;
    return {};
  }
  const StateFile& file = offer_.files[file_];
  left_ = file.size;
  stage_ = left_ == 0 ? Stage::file_sum : Stage::file;
  return sink_.on_file(file);
}

Result<void> StateReader::compare(std::string_view bytes, uint32_t sum, const std::string& what) {
  if (number_of(bytes) != sum) return fail(errc::garbled, what + " did not come as it was sent");
  total_ = crc32c(bytes, total_);
  return {};
}

}  // namespace courier::cluster
