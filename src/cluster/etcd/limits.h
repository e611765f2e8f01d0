// Every limit of the folder: sizes, counts, times.
#pragma once

#include <cstddef>
#include <cstdint>

namespace courier::cluster::etcd {

// --- The connection ---

// Channels that tried again after 200 ms and pinged every 2 s never came back once all servers had been
// killed; with these they do (docs/decisions/0019).
inline constexpr int kReconnectMsMin = 2000;
inline constexpr int kReconnectMsMax = 3000;
inline constexpr int kReconnectMsFirst = 500;
inline constexpr int kPingMs = 10'000;
inline constexpr int kPingAnswerMs = 5000;

inline constexpr int64_t kCallMs = 2000;         // a call that nothing else is said about
inline constexpr int64_t kRetryMs = 100;         // after a call that failed, before the next is tried
inline constexpr int64_t kUnreachableMs = 2000;  // without an answer: the log does not accept
inline constexpr int64_t kProbeMs = 700;         // how often a quiet log asks whether etcd has a quorum
inline constexpr int64_t kStatusMs = 2000;       // how often sizes and alarms are asked for
inline constexpr size_t kEndpointsMax = 16;

// --- Names ---

inline constexpr size_t kNameBytesMax = 64;  // of a cluster, of a node
inline constexpr size_t kAddressBytesMax = 256;
inline constexpr uint32_t kPartitionsMax = 4096;

// --- The log ---

// etcd keeps the last 5,000 transactions in memory, whatever their size, so they are small: one value of a
// piece as a rule, kPiecesMax only when that much waits.
inline constexpr size_t kPieceBytesMax = 64 * 1024;
inline constexpr size_t kPiecesMax = 4;
// A batch longer than this is refused by every reader: it cannot come from us.
inline constexpr uint32_t kPiecesOfBatchMax = 8192;

inline constexpr int64_t kLingerUsMax = 10'000;
inline constexpr double kLingerRateFull = 1000;  // records a second from which the linger is at its longest
inline constexpr int64_t kAppendMs = 2000;       // before a transaction is asked for again, elsewhere

// What has come from etcd and waits to be folded, before reading stops until it is less.
inline constexpr size_t kFeedBytesMax = 16 << 20;
inline constexpr int64_t kListPage = 5000;       // keys
inline constexpr size_t kFetchPage = 32;         // values
inline constexpr int64_t kListMs = 15'000;       // a page of keys or values
inline constexpr int64_t kWatchQuietMs = 1000;   // then it is asked for a sign of life
inline constexpr int64_t kWatchAnswerMs = 2000;  // which must come within this

// --- Truncation ---

inline constexpr int64_t kDoneMs = 1000;       // between two publications of what is done
inline constexpr int64_t kTruncateMs = 5000;   // between two truncations
inline constexpr double kQuotaSoft = 0.70;     // of the quota in use: no new promises
inline constexpr double kQuotaSoftEnd = 0.65;  // promises again

// --- Membership ---

inline constexpr int64_t kLeaseMsMin = 1000;
inline constexpr int64_t kLeaseMsMax = 60'000;

}  // namespace courier::cluster::etcd
