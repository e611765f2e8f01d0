// A node's whole state as a stream of bytes, for a node that has none: what is asked, what is answered.
//
//   request:  kind kStateRequest, one byte: the version of the stream that is understood
//   stream:   "courierS" version                   at once, before the copy is made: somebody is at it
//             length, header, crc32c               whose state, as of when, which files, how long each
//             (bytes of a file, crc32c)*           in the header's order
//             crc32c                               of all the checksums before it, in their order
//
// The length and the checksums have four bytes, low byte first; the header has varints and texts with their
// length in front: log id, position, cursor, number of files, and of each its name and size.
//
// What comes from a peer is not trusted: every length has a bound, names are plain names (no folder, no
// leading dot) and each comes once, sums do not overflow. Which names make sense, and whether there is room
// for so many bytes, is for the sink to say. A garbled stream gives an error and nothing after it.
//
// No thread, file or socket: one owner.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"

namespace courier::cluster {

inline constexpr uint16_t kStateRequest = 1;
inline constexpr uint8_t kStateVersion = 1;
// How a node that gives its state to another one says that it cannot give it to a second at once: part of
// its sentence. Then it is worth waiting.
inline constexpr std::string_view kGivesAlready = "gives its state to another node";

inline constexpr size_t kStateFilesMax = 200'000;
inline constexpr size_t kStateNameBytesMax = 64;
inline constexpr size_t kStateHeaderBytesMax = 16 << 20;

struct StateFile {
  std::string name;
  uint64_t size = 0;
  bool operator==(const StateFile&) const = default;
};

struct StateOffer {
  std::string log_id;
  Position position;    // what the state reflects …
  uint64_t cursor = 0;  // … and where in the log that is
  std::vector<StateFile> files;

  uint64_t bytes() const;  // of all files
  bool operator==(const StateOffer&) const = default;
};

class StateWriter {
 public:
  // The stream's first bytes.
  std::string preamble();
  std::string header(const StateOffer& offer);
  // Of a file's bytes, as they are sent; then what follows them.
  void add(std::string_view bytes);
  std::string end_of_file();
  std::string end();

 private:
  std::string checksum(uint32_t sum);

  uint32_t file_ = 0, total_ = 0;
};

// Where a state goes that comes. An error ends the reading, and is what feed() returns.
class StateSink {
 public:
  virtual ~StateSink() = default;
  virtual Result<void> on_offer(const StateOffer& offer) = 0;
  virtual Result<void> on_file(const StateFile& file) = 0;
  virtual Result<void> on_bytes(std::string_view bytes) = 0;  // of that file
  virtual Result<void> on_file_end() = 0;                     // all of it, and as it was sent
};

class StateReader {
 public:
  explicit StateReader(StateSink& sink) : sink_(sink) {}  // outlives this

  // Pieces of any size. After an error no more. errc::garbled, newer_format, and those of the sink.
  Result<void> feed(std::string_view bytes);
  // Whether that was all. errc::cut.
  Result<void> end() const;

 private:
  enum class Stage : uint8_t { preamble, length, header, header_sum, file, file_sum, total, whole };
  // How many bytes this stage takes as a whole.
  size_t wanted() const;
  Result<void> take(std::string_view bytes);
  Result<void> open_header(std::string_view bytes);
  Result<void> next_file();
  Result<void> compare(std::string_view bytes, uint32_t sum, const std::string& what);

  StateSink& sink_;
  Stage stage_ = Stage::preamble;
  std::string gathered_;  // of a stage that did not come at once
  size_t header_bytes_ = 0;
  StateOffer offer_;
  size_t file_ = 0;    // index in offer_.files
  uint64_t left_ = 0;  // of this file
  uint32_t sum_ = 0, total_ = 0;
};

}  // namespace courier::cluster
