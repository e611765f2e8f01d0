// Who must be told that there is something to do. A Mailbox calls it; an EventLoop is one.
#pragma once

namespace courier::net {

class Waker {
 public:
  // Any thread. Cheap when the owner is awake. Never blocks, never fails.
  virtual void wake() noexcept = 0;

 protected:
  ~Waker() = default;
};

}  // namespace courier::net
