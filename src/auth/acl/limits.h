// What an ACL file, and the rules that come with a client, may ask of the machine.
#pragma once

#include <cstddef>
#include <cstdint>

namespace courier::auth::acl {

inline constexpr size_t kFileBytesMax = 64 * 1024 * 1024;
inline constexpr size_t kLineBytesMax = 4096;
inline constexpr size_t kRulesMax = 1'000'000;
inline constexpr size_t kRuleLevelsMax = 128;
inline constexpr size_t kUserNameBytesMax = 1024;
// Of one file that are told; what comes first is most likely the cause of the rest.
inline constexpr size_t kProblemsMax = 100;

// Different variables in one set of rules: one bit each says whether it has been looked at.
inline constexpr size_t kVariablesMax = 64;
inline constexpr size_t kDelimiterBytesMax = 8;
inline constexpr uint32_t kPieceMax = 255;

// Different labels in the life of a process, "none" and "other" among them: they multiply with a metric's
// other labels, of which a family has 256 series at most (Registry::kSeriesMax).
inline constexpr size_t kLabelsMax = 64;
inline constexpr size_t kLabelBytesMax = 64;

// Rules that come with one client.
inline constexpr size_t kGrantsMax = 1000;
inline constexpr size_t kGrantFilterBytesMax = kLineBytesMax;

// What one connection remembers: decisions, and the longest topic that is worth it.
inline constexpr size_t kRememberedMax = 8;
inline constexpr size_t kRememberedBytesMax = 256;

// How many rules an explanation for the log compares, in search of the nearest: about a millisecond.
inline constexpr size_t kNearestRulesMax = 1000;

}  // namespace courier::auth::acl
