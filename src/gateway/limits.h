// Every bound this folder keeps that is not a setting, in one place. Each has a test that reaches it.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/clock.h"

namespace courier::gateway {

// One read(): what one connection may bring into a Turn. A thread has one buffer of this size.
inline constexpr size_t kReadBytesMax = 64 * 1024;
// Packets of one connection in one Turn; the rest waits for the next Turn, behind the other connections.
inline constexpr unsigned kPacketsPerTurn = 512;
// Connections that one listening socket takes in one Turn.
inline constexpr unsigned kAcceptsPerTurn = 128;

// What one read may bring of whom nobody has let in yet: what is left of it is held until its CONNECT is
// decided. In a TLS handshake more, for what a record may have.
inline constexpr size_t kStrangerReadBytesMax = 4 * 1024;
inline constexpr size_t kHandshakeReadBytesMax = 16 * 1024;
// Answers of TLS or WebSocket, pongs, that such a peer has not read when it sends more.
inline constexpr size_t kOpeningUnreadBytesMax = 2 * 1024;

// What a packet that was begun must bring on average over packet_timeout: less than the worst mobile network
// does, and enough that a packet of any size ends.
inline constexpr MonoNs kPacketBytesPerSecondMin = 512;
// Past the memory ceiling no more than this, and one read, is taken of a packet that is not whole.
inline constexpr size_t kStarvedInputBytes = 64 * 1024;

// A connection that we ended stays until the peer has read why and hung up, or this long.
inline constexpr MonoNs kLingerNs = 2'000'000'000;
// So many at a time per thread; more are closed at once.
inline constexpr size_t kLingeringMax = 4096;

// Output buffers that a thread keeps for its next Turn, and the size beyond which one is given back.
inline constexpr size_t kSpareOutputsMax = 256;
inline constexpr size_t kSpareOutputBytesMax = 64 * 1024;

// Steps of TLS handshakes that wait for a worker: some seconds of work, after which a client has given up
// anyway. Beyond it connections are closed.
inline constexpr size_t kHandshakesWaitingMax = 4096;
// Of 19: their workers get what the shard threads leave them.
inline constexpr int kHandshakeNiceness = 10;

// Reads of inbox rows that wait for a worker; beyond it the caller reads for itself. See Gateway.
inline constexpr size_t kWorkerTasksMax = 1'000'000;

}  // namespace courier::gateway
