// Many HTTP requests at once, for callers that must not wait: a thread of its own drives them all.
//
// Sender is the port, so that what asks over HTTP can be tested without a network; Requests is libcurl's.
// Connections are kept between requests, by server; what else is refused is in client.h. How many run at once
// is the caller's to bound: each holds a connection.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "http/client.h"

namespace courier::http {

class Sender {
 public:
  using Id = uint64_t;
  using Done = std::function<void(Result<Response>)>;

  virtual ~Sender() = default;
  // Any thread; never blocks. Calls `done` once, later, never from within send(), on a thread of its own;
  // `done` must be quick. Errors: as Client::fetch() has them.
  virtual Id send(Request request, Done done) = 0;
  // The request ends with errc::cancelled, unless it has ended. Any thread.
  virtual void cancel(Id id) = 0;
};

// Destruction ends what runs; nobody is told.
class Requests final : public Sender {
 public:
  // `idle_connections_max`: kept for later, of all servers. Error: no_memory.
  static Result<std::unique_ptr<Requests>> open(size_t idle_connections_max);
  ~Requests() override;

  Id send(Request request, Done done) override;
  void cancel(Id id) override;

 private:
  struct Running;
  struct Handles;
  struct Posted {
    Id id = 0;
    Request request;
    Done done;  // null: the request is to be cancelled
  };

  explicit Requests(std::unique_ptr<Handles> handles);
  void run();
  void begin(Posted posted);
  void end(std::unordered_map<Id, std::unique_ptr<Running>>::iterator place, Result<Response> result);

  const std::unique_ptr<Handles> handles_;
  std::unordered_map<Id, std::unique_ptr<Running>> running_;  // of the thread

  std::mutex mutex_;
  std::vector<Posted> posted_;  // guarded by mutex_
  Id last_id_ = 0;              // guarded by mutex_
  bool stopping_ = false;       // guarded by mutex_

  std::thread thread_;  // last: it uses all of the above
};

}  // namespace courier::http
