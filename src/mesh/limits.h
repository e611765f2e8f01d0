// Every bound of this folder. Those of frames are part of the protocol: both ends have the same.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/clock.h"

namespace courier::mesh {

// --- The protocol's ---

// A frame without its four bytes of length, from a peer that has introduced itself. A message that does not
// fit is dropped, and counted.
inline constexpr size_t kFrameBytesMax = 16 * 1024 * 1024;
// And from one that has not.
inline constexpr size_t kHelloBytesMax = 1024;
// Names in a hello.
inline constexpr size_t kNameBytesMax = 128;
// The sentence of a refusal, a failure.
inline constexpr size_t kSentenceBytesMax = 200;

inline constexpr size_t kRequestBytesMax = 64 * 1024;
// Requests of one peer that are not answered yet.
inline constexpr size_t kRequestsMax = 64;
// One piece of a reply.
inline constexpr size_t kPieceBytesMax = 256 * 1024;
// What a piece counts for beside its bytes, so that many small ones are bounded, too.
inline constexpr size_t kPieceOverhead = 64;
// Of one reply: what was sent, or waits to be, and was not worked off by who asked.
inline constexpr size_t kReplyWindow = 1024 * 1024;
// How much is worked off before the other end hears of it.
inline constexpr size_t kCreditStep = kReplyWindow / 8;
// There is room for three pieces of any size: one more fits while the other end keeps quiet about its step.
static_assert(3 * (kPieceBytesMax + kPieceOverhead) + kCreditStep <= kReplyWindow);

// --- This end's ---

// All that a stranger may send before its hello is whole; with TLS, within the handshake's own bounds.
inline constexpr size_t kStrangerBytesMax = 8 * 1024;
// What one read takes.
inline constexpr size_t kReadBytes = 128 * 1024;
// A shard's messages are in frames of about this size, and handed over in pieces of about that one: between
// two of them goes what is urgent.
inline constexpr size_t kDeliverFrameBytes = 64 * 1024;
// Sessions that one message names; for more it is sent again.
inline constexpr size_t kReceiversMax = 4096;
inline constexpr size_t kHandoverBytes = 128 * 1024;
// What a link has given to its socket's queue, in its order for good, and the kernel did not take.
inline constexpr size_t kCommittedBytesMax = 256 * 1024;
// What the kernel has and has not sent: more would only make urgent bytes wait.
inline constexpr int kUnsentBytesInKernel = 128 * 1024;
// A reply's first bytes are urgent; behind them it is a stream, which takes turns with messages.
inline constexpr size_t kUrgentReplyBytes = 16 * 1024;
// Messages that a handler gets at once.
inline constexpr size_t kDeliversAtOnce = 512;
// By how much a shard raises what it may have waiting for a peer.
inline constexpr size_t kClaimBytes = 16 * 1024;

// What waits for one peer beside messages. It can only be more if that asks and does not take, or asks, gives
// up and asks again: its link is closed.
inline constexpr size_t kUrgentBytesMax = 16 * 1024 * 1024;
inline constexpr size_t kStreamBytesMax = kRequestsMax * (kReplyWindow + kReplyWindow / 4);

// What may be set, for slow networks and quick tests.
struct Limits {
  size_t queue_bytes_max = 16 * 1024 * 1024;  // messages that wait for one peer; what is more is dropped
  uint32_t pending_max = 32;                  // connections that did not introduce themselves yet
  MonoNs greeting_ns = 5 * kNsPerSecond;      // from the connection to the end of both hellos
  MonoNs ping_ns = kNsPerSecond;
  MonoNs silent_ns = 5 * kNsPerSecond;  // a peer of whom nothing is heard for so long is not there
  MonoNs redial_first_ns = 50 * kNsPerMs;
  MonoNs redial_max_ns = 3 * kNsPerSecond;
};

}  // namespace courier::mesh
