// Every bound this folder keeps, in one place. Each has a test that reaches it, but kAcceptSkipsMax: Linux
// cannot be made to fail accept() so often on demand.
#pragma once

#include <cstddef>

namespace courier::net {

// Readiness reports taken from the kernel by one EventLoop::run_once().
inline constexpr size_t kEventsPerRunMax = 512;

// A Mailbox gives back the memory of a burst: no more than this many items' room is kept for the next one.
inline constexpr size_t kMailboxRoomKept = 4096;

// Listener::accept() skips at most so many connections that were gone before it came; then it pauses.
inline constexpr int kAcceptSkipsMax = 64;

// A PROXY v1 line with its CR LF.
inline constexpr size_t kProxyV1SizeMax = 107;
// A whole PROXY v2 header with its TLVs. The format allows 65,551; real balancers stay below 1,000.
inline constexpr size_t kProxyV2SizeMax = 4096;

// OutputQueue: small appends are joined into pieces of about this size, and one sendmsg() takes so many
// pieces.
inline constexpr size_t kOutputPieceSize = 16 * 1024;
inline constexpr size_t kOutputPiecesPerWrite = 64;

// StackedTransport: a thread keeps no more room than this, each way, for what passes between two layers.
inline constexpr size_t kBetweenLayersKept = 256 * 1024;

// The longest path of a Unix socket (sun_path less its NUL).
inline constexpr size_t kUnixPathMax = 107;

}  // namespace courier::net
