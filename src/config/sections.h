// How the schema's tables are written: a key's member by the path that leads to it, units, and the sections
// that stand in files of their own. For the schema's own files.
#pragma once

#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "config/schema.h"

namespace courier::config {

template <typename Class, typename Value>
Class owner_of(Value Class::*);
template <auto First>
using Owner = decltype(owner_of(First));

template <auto First, auto... Rest>
auto& follow(void* owner) {
  auto& first = static_cast<Owner<First>*>(owner)->*First;
  if constexpr (sizeof...(Rest) == 0) {
    return first;
  } else {
    return follow<Rest...>(&first);
  }
}

// The Member that a path of pointers to members leads to: member<&Settings::limits, &Limits::inflight_max>().
template <auto... Path>
Member member() {
  using Value = std::remove_reference_t<decltype(follow<Path...>(nullptr))>;
  if constexpr (std::is_same_v<Value, std::string>) {
    return TextMember{[](void* owner) -> std::string& { return follow<Path...>(owner); }};
  } else if constexpr (std::is_same_v<Value, std::vector<std::string>>) {
    return ListMember{[](void* owner) -> std::vector<std::string>& { return follow<Path...>(owner); }};
  } else {
    return NumberMember{[](const void* owner) -> int64_t {
                          const Value& value = follow<Path...>(const_cast<void*>(owner));
                          if constexpr (std::is_same_v<Value, Milliseconds>) {
                            return value.count();
                          } else {
                            return static_cast<int64_t>(value);
                          }
                        },
                        [](void* owner, int64_t value) { follow<Path...>(owner) = Value(value); }};
  }
}

// Field is a vector in Settings of structs with a `name`.
template <auto Field>
Rows rows() {
  using Row = typename std::remove_reference_t<decltype(std::declval<Settings&>().*Field)>::value_type;
  static const Row fresh;
  Rows rows;
  rows.size = [](const Settings& settings) { return (settings.*Field).size(); };
  rows.at = [](Settings& settings, size_t index) -> void* { return &(settings.*Field)[index]; };
  rows.add = [](Settings& settings) { (settings.*Field).emplace_back(); };
  rows.take = [](Settings& to, const Settings& from) { to.*Field = from.*Field; };
  rows.fresh = &fresh;
  return rows;
}

inline constexpr int64_t kKB = kKilobyte;
inline constexpr int64_t kMB = kMegabyte;
inline constexpr int64_t kGB = 1024 * kMB;
inline constexpr int64_t kSecond = 1000;
inline constexpr int64_t kHour = 3600 * kSecond;
inline constexpr int64_t kDay = 24 * kHour;

Section listener_section();
Section auth_section();
Section jwt_section();
Section limit_section();
Section hook_section();
Section hooks_section();
Section events_section();
Section sink_section();
Section admission_section();
Section flapping_section();
Section cluster_section();

}  // namespace courier::config
