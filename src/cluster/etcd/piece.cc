#include "cluster/etcd/piece.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "cluster/etcd/errc.h"
#include "cluster/etcd/limits.h"

namespace courier::cluster::etcd {
namespace {

constexpr uint8_t kLast = 1;

template <typename Number>
void put(std::string& out, Number number) {
  for (size_t i = 0; i < sizeof number; ++i) out.push_back(static_cast<char>(number >> (8 * i)));
}
template <typename Number>
Number get(std::string_view bytes) {
  Number number = 0;
  for (size_t i = 0; i < sizeof number; ++i) {
    number |= static_cast<Number>(static_cast<Number>(static_cast<uint8_t>(bytes[i])) << (8 * i));
  }
  return number;
}

std::string place(const Arrival& piece) {
  return "the log's piece " + std::to_string(piece.key.seq) + " of epoch " +
         std::to_string(piece.key.epoch.value) + " (revision " + std::to_string(piece.revision) + ")";
}

}  // namespace

Result<Piece> decode_piece(std::string_view value) {
  if (value.empty()) return fail(errc::damaged, "it is empty");
  if (const auto format = static_cast<uint8_t>(value[0]); format != kFormat) {
    return fail(errc::newer_format, "it has format " + std::to_string(format) +
                                        ", written by another version of Courier; this one knows format " +
                                        std::to_string(kFormat));
  }
  if (value.size() < kPieceHeadBytes) return fail(errc::damaged, "it is too short");
  if ((static_cast<uint8_t>(value[1]) & ~kLast) != 0) return fail(errc::damaged, "it has unknown flags");
  return Piece{(static_cast<uint8_t>(value[1]) & kLast) != 0, get<uint32_t>(value.substr(2)),
               get<uint64_t>(value.substr(6)), value.substr(kPieceHeadBytes)};
}

std::vector<std::string> cut(std::string_view batch, uint64_t writer) {
  std::vector<std::string> values;
  do {
    const std::string_view bytes = batch.substr(0, kPieceBytesMax);
    batch.remove_prefix(bytes.size());
    std::string value;
    value.reserve(kPieceHeadBytes + bytes.size());
    put(value, static_cast<uint8_t>(kFormat));
    put(value, batch.empty() ? kLast : uint8_t{0});
    put(value, static_cast<uint32_t>(values.size()));
    put(value, writer);
    value.append(bytes);
    values.push_back(std::move(value));
  } while (!batch.empty());
  return values;
}

Result<std::optional<Assembly::Whole>> Assembly::add(const Arrival& arrival) {
  const Result<Piece> piece = decode_piece(arrival.value);
  if (!piece) return fail(piece.error().within(place(arrival) + " cannot be read"));
  const auto part = parts_.find(arrival.key.epoch);
  if (part == parts_.end()) {
    if (piece->index > 0) {
      return fail(errc::snapshot_needed, place(arrival) + " goes on with a batch whose beginning is gone");
    }
    if (piece->last) return std::optional(Whole{piece->writer, std::string(piece->bytes)});
    parts_[arrival.key.epoch] = {arrival.revision, arrival.key.seq + 1, 1, piece->writer,
                                 std::string(piece->bytes)};
    return std::optional<Whole>();
  }
  Part& open = part->second;
  if (piece->index != open.next_index || arrival.key.seq != open.next_seq || piece->writer != open.writer ||
      piece->index >= kPiecesOfBatchMax) {
    return fail(errc::damaged, place(arrival) + " does not follow the one before it");
  }
  open.bytes.append(piece->bytes);
  ++open.next_index;
  ++open.next_seq;
  if (!piece->last) return std::optional<Whole>();
  Whole whole{open.writer, std::move(open.bytes)};
  parts_.erase(part);
  return std::optional(std::move(whole));
}

std::vector<Assembly::Open> Assembly::open() const {
  std::vector<Open> list;
  for (const auto& [epoch, part] : parts_) list.push_back({epoch, part.since});
  return list;
}

}  // namespace courier::cluster::etcd
