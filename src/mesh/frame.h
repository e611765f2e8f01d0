// The bytes between two nodes. Pure: no socket, no clock.
//
//   frame   = length u32, little-endian, of what follows · type u8 · body
//   hello   = "CMSH" · version u8 · oldest u8 · cluster · log id · node id · epoch · instance · to (epoch)
//   refuse  = why u8 · sentence
//   ping    = number          pong = the same number
//   deliver = (after · count · receiver… · message)…   until the end; message as record::encode_message has
//   it receiver = session · flags u8 (1: RETAIN; 2: with identifiers) · [count · subscription identifier…]
//   request = id · kind · body            credit = id · bytes          cancel = id
//   piece   = id · body                   ended  = id                  failed = id · sentence
//
// Numbers are varints; strings a varint length and bytes; a body is what is left. The side that dialled says
// hello first. Whatever a later version of hello has behind `to` is passed over, so that two versions can
// find out that they do not understand each other. Decoding trusts nothing.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "mesh/limits.h"
#include "mqtt/message.h"

namespace courier::mesh {

// A session that gets it.
struct Receiver {
  SessionId session;
  bool retain = false;  // the RETAIN flag that its client gets
  std::vector<uint32_t> subscription_identifiers;
  bool operator==(const Receiver&) const = default;
};

// A message on its way to another node, for sessions that are connected there.
struct Deliver {
  std::vector<Receiver> to;  // kReceiversMax at most
  mqtt::MessagePtr message;
  // What stands in the log up to here is folded before it is delivered.
  Position after;
  NodeEpoch from;  // set where it arrives
};

enum class FrameType : uint8_t {
  hello = 1,
  refuse,
  ping,
  pong,
  deliver,
  request,
  piece,
  ended,
  failed,
  credit,
  cancel,
};

inline constexpr uint8_t kVersion = 1;
inline constexpr size_t kFrameHeadBytes = 5;  // length and type

struct Hello {
  uint8_t version = kVersion;
  uint8_t oldest = kVersion;  // that its sender still understands
  std::string cluster;
  std::string log_id;
  std::string node_id;
  NodeEpoch epoch;
  uint64_t instance = 0;  // of the process: two that claim one epoch differ in it
  NodeEpoch to;           // whom it believes to speak to

  bool operator==(const Hello&) const = default;
};

enum class Refusal : uint8_t {
  version = 1,   // no version that both speak
  cluster,       // another cluster's name
  log,           // the same name, another log
  wrong_node,    // not whom it was looking for
  old_epoch,     // a run of a node that is over
  not_a_member,  // nobody the members' list speaks of, in all the time there was
  other_run,     // another process has a link with the same epoch
  certificate,   // it is not for the node that its owner claims to be
  busy,          // too many that did not introduce themselves
};
std::string_view name(Refusal why);

// Opens a frame at the end of `out`; close_frame() writes the length, when all of the body stands behind.
size_t open_frame(std::string& out, FrameType type);
void close_frame(std::string& out, size_t opened_at);

std::string encode_hello(const Hello& hello);
std::string encode_refuse(Refusal why, std::string_view sentence);
std::string encode_number(FrameType type, uint64_t number);                   // ping, pong, ended, cancel
std::string encode_numbers(FrameType type, uint64_t first, uint64_t second);  // credit
std::string encode_text(FrameType type, uint64_t id, std::string_view text);  // piece, failed
std::string encode_request(uint64_t id, uint16_t kind, std::string_view body);
// Appends one message to a frame that is open.
void encode_deliver(std::string& out, const Deliver& deliver);
// At least what encode_deliver() appends.
size_t deliver_bytes_at_most(const Deliver& deliver);

// The bodies. Errors: errc::bad_frame, with a sentence.
struct Refused {
  uint8_t why = 0;
  std::string_view sentence;
};
struct Numbers {
  uint64_t id = 0;
  uint64_t second = 0;
};
struct Text {
  uint64_t id = 0;
  std::string_view text;
};
struct Request {
  uint64_t id = 0;
  uint16_t kind = 0;
  std::string_view body;
};
Result<Hello> decode_hello(std::string_view body);
Result<Refused> decode_refuse(std::string_view body);
Result<uint64_t> decode_number(std::string_view body);
Result<Numbers> decode_numbers(std::string_view body);
Result<Text> decode_text(std::string_view body);
Result<Request> decode_request(std::string_view body);
// Takes messages from the front of `body`, `count_max` at most, and appends them to `into`: four bytes of a
// frame can make two hundred in memory.
Result<void> decode_delivers(std::string_view& body, NodeEpoch from, size_t count_max,
                             std::vector<Deliver>& into);

// Cuts what a socket gives into frames. Holds the beginning of one that has not come whole, and never room
// for more than twice what has come of it.
class FrameReader {
 public:
  // Frames above this are refused as soon as their length has come.
  explicit FrameReader(size_t frame_bytes_max) : frame_bytes_max_(frame_bytes_max) {}
  void raise(size_t frame_bytes_max) { frame_bytes_max_ = frame_bytes_max; }

  // Calls `on_frame(FrameType, std::string_view body) -> Result<void>` for each whole frame, in order, until
  // one fails. The type may be one that nobody knows. errc::bad_frame.
  template <typename OnFrame>
  Result<void> feed(std::string_view bytes, OnFrame&& on_frame) {
    while (!held_.empty() && !bytes.empty()) {
      take_missing(bytes);
      std::string_view frame;
      if (auto cut = next(held_view(), frame); !cut) return fail(cut.error());
      if (frame.empty()) continue;
      const std::string whole = std::move(held_);
      held_ = std::string();
      if (auto done = on_frame(type_of(whole), body_of(whole)); !done) return done;
    }
    for (;;) {
      std::string_view frame;
      if (auto cut = next(bytes, frame); !cut) return fail(cut.error());
      if (frame.empty()) break;
      bytes.remove_prefix(frame.size());
      if (auto done = on_frame(type_of(frame), body_of(frame)); !done) return done;
    }
    if (!bytes.empty()) hold(bytes);
    return {};
  }

  size_t held_bytes() const { return held_.size(); }
  size_t held_room() const { return held_.capacity(); }

 private:
  static FrameType type_of(std::string_view frame) { return static_cast<FrameType>(frame[4]); }
  static std::string_view body_of(std::string_view frame) { return frame.substr(kFrameHeadBytes); }
  std::string_view held_view() const { return held_; }
  // The frame at the front of `bytes`, or nothing yet.
  Result<void> next(std::string_view bytes, std::string_view& frame) const;
  // Moves to held_ what the frame there lacks, as far as it has come.
  void take_missing(std::string_view& bytes);
  void hold(std::string_view bytes);

  size_t frame_bytes_max_;
  std::string held_;
};

}  // namespace courier::mesh
