// Everything on the client's side that could grow has its bound here.
#pragma once

#include <cstddef>
#include <cstdint>

namespace courier::client {

// Slots of packet ids in use or waiting behind one that is. One less than the ids there are, so that the ids
// of a window of consecutive slots are always distinct.
inline constexpr size_t kSlotsMax = 65'534;
// Largest MQTT packet: four bytes of remaining length. Section 2.1.4 of 5.0.
inline constexpr uint64_t kRemainingLengthMax = 268'435'455;
inline constexpr size_t kStringBytesMax = 65'535;
// Messages with QoS > 0 waiting for a free slot or a connection; both are only defaults, see ConnectOptions.
inline constexpr size_t kQueueMessagesMax = 100'000;
inline constexpr size_t kQueueBytesMax = 64 * 1024 * 1024;
// SUBSCRIBE and UNSUBSCRIBE waiting for a connection.
inline constexpr size_t kRequestsMax = 10'000;
// A Client's bytes not yet taken by its socket; beyond that QoS 0 publishes are refused with queue_full.
inline constexpr size_t kOutputBytesMax = 16 * 1024 * 1024;

// What a transport is given at once: one frame of WebSocket, which servers bound, or some records of TLS.
// Large packets span several.
inline constexpr size_t kTransportUnitBytesMax = 64 * 1024;

}  // namespace courier::client
