// SIGINT and SIGTERM as an event on the loop, so that a command can say goodbye to the server. A second one
// ends the process at once.
#pragma once

#include <functional>

#include "client/client_loop.h"
#include "net/fd.h"

namespace courier::cli {

class Interrupt final : private net::Handler {
 public:
  Interrupt(client::ClientLoop& loop, std::function<void()> interrupted);
  ~Interrupt();

 private:
  void on_events(uint32_t ready) override;

  client::ClientLoop& loop_;
  std::function<void()> interrupted_;
  net::Fd fd_;
};

}  // namespace courier::cli
