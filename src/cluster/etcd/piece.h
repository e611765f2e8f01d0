// The values of the log in etcd: a batch (record::encode_batch), whole or cut into pieces. Pure.
//
//   value = format u8 (kFormat) · flags u8 (1: last piece of its batch) · index u32 · writer u64 · bytes
//
// Integers are little-endian. Pieces of one batch have neighbouring keys of one epoch and indexes from 0 on;
// their bytes one after the other are the batch, which has a checksum of its own. A batch stands in the log
// where its last piece stands. `writer` is random, new with each log that is opened: two that take themselves
// for the same run of the same node never write the same bytes.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "cluster/etcd/keys.h"

namespace courier::cluster::etcd {

inline constexpr size_t kPieceHeadBytes = 1 + 1 + 4 + 8;

struct Piece {
  bool last = false;
  uint32_t index = 0;
  uint64_t writer = 0;
  std::string_view bytes;
};
// Errors: errc::damaged, newer_format.
Result<Piece> decode_piece(std::string_view value);

// The values of a batch, in order; each holds at most kPieceBytesMax of it.
std::vector<std::string> cut(std::string_view batch, uint64_t writer);

// A piece as it came from etcd.
struct Arrival {
  uint64_t revision = 0;
  LogKey key;
  std::string value;
};

// Puts batches together. Owned by whoever reads the log, in its order.
class Assembly {
 public:
  struct Whole {
    uint64_t writer = 0;
    std::string bytes;
  };
  // The batch that this piece completes, if it does. Errors: errc::damaged (a piece that does not follow),
  // newer_format; snapshot_needed (pieces in front of it are gone).
  Result<std::optional<Whole>> add(const Arrival& piece);

  struct Open {
    NodeEpoch epoch;
    uint64_t since = 0;  // revision of the first piece
  };
  // Batches of which some pieces have come, but not the last.
  std::vector<Open> open() const;

 private:
  struct Part {
    uint64_t since = 0;
    uint64_t next_seq = 0;
    uint32_t next_index = 0;
    uint64_t writer = 0;
    std::string bytes;
  };
  std::map<NodeEpoch, Part> parts_;
};

}  // namespace courier::cluster::etcd
