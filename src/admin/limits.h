// What the REST side may take of the node, whoever asks: everything that a peer can make grow has a bound
// here.
#pragma once

#include <cstddef>
#include <cstdint>

namespace courier::admin {

// Of those who would get a PUBLISH, so many are named.
inline constexpr size_t kReceiversShown = 100;

// At the limit the connection that has waited longest for a request to be complete makes room; if all are
// being answered, the new one is closed.
inline constexpr size_t kConnectionsMax = 64;
// Connections that stream traces; so that traces never use up what /metrics and /readyz need.
inline constexpr size_t kTracesMax = 16;
// Request line and headers. A percent-encoded client id must fit.
inline constexpr uint32_t kHeaderBytesMax = 16 * 1024;
inline constexpr uint64_t kBodyBytesMax = 64 * 1024;
// Read and thrown away after an answer that closes, so that the peer gets the answer and not a reset.
inline constexpr size_t kDrainBytesMax = 1024 * 1024;
// Clients of one page.
inline constexpr uint32_t kPageDefault = 100;
inline constexpr uint32_t kPageMax = 5'000;
// Clients that a shard looks at in one Turn on behalf of a page.
inline constexpr size_t kWalkClients = 2'048;
// What one stream of lines keeps for an API client that reads slowly; what comes then is dropped and counted.
inline constexpr size_t kStreamLinesMax = 2'000;
inline constexpr size_t kStreamBytesMax = 1024 * 1024;
// Of a backup.
inline constexpr size_t kPathBytesMax = 4'096;
inline constexpr size_t kTokensMax = 1'000;
inline constexpr size_t kTokenBytesMin = 16;
inline constexpr size_t kTokenBytesMax = 4'096;

}  // namespace courier::admin
