// The wire end of a connection whose socket has gone while what it said last still counts: nothing is read,
// and what is written goes nowhere. Any thread may have one; it keeps nothing.
#pragma once

#include <memory>
#include <string>

#include "base/check.h"
#include "broker/connection.h"
#include "broker/link.h"

namespace courier::broker {

class NoLink final : public Link {
 public:
  std::string& output() override {
    scratch_.clear();
    return scratch_;
  }
  size_t unsent_bytes() const override { return 0; }
  void pause(Pause) override {}
  void resume(Pause) override {}
  void set_keep_alive(uint32_t) override {}
  void move_to(uint32_t, std::unique_ptr<Connection>) override { CHECK(false); }
  void close() override {}

 private:
  std::string scratch_;
};

}  // namespace courier::broker
