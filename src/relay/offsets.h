// How far all messages of one partition are done, when they are done out of order. Pure.
//
//   begun:      10 11 12 14 15      (13 is not there: Kafka leaves gaps)
//   finished:   10 11    14
//   committable: 12
//
// 1. committable() never passes a message that was begun and is not finished.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>

#include "base/clock.h"

namespace courier::relay {

class Offsets {
 public:
  // In growing order; false, and nothing happens, if it is not beyond all before.
  bool begin(int64_t offset, MonoNs now);
  // Of one that was begun; a second time does nothing.
  void finish(int64_t offset);

  // Where the next reader has to begin; nothing before the first message.
  std::optional<int64_t> committable() const;
  // From the first unfinished message to the last begun one: what would come again, at most.
  size_t span() const { return begun_.size(); }
  // When the oldest unfinished one was begun; nothing if all are finished.
  std::optional<MonoNs> oldest() const;

 private:
  struct Begun {
    int64_t offset = 0;
    MonoNs at = 0;
    bool finished = false;
  };
  std::deque<Begun> begun_;  // the first is unfinished
  int64_t last_ = -1;
};

}  // namespace courier::relay
