// Writes single messages to one topic of Kafka, safe on all replicas before they count as written.
//
// Owned by one thread, which is told what became of them from within poll(); `wake_fd`, an eventfd, is
// written when there is something to poll.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"

namespace courier::kafka {

struct WriterOptions {
  std::string topic;
  std::vector<std::pair<std::string, std::string>> properties;  // librdkafka's, bootstrap.servers among them
  int wake_fd = -1;
};

class Writer {
 public:
  using Headers = std::vector<std::pair<std::string, std::string>>;
  using Done = std::function<void(Result<void>)>;

  // Does not wait for Kafka. Errors: bad_options.
  static Result<std::unique_ptr<Writer>> open(const WriterOptions& options);
  // Nobody is told of what is under way.
  ~Writer();
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  // Takes a copy. `done` is called from within a later poll(), once: nothing gives up by itself while Kafka
  // is away. Errors there: away, with what to do.
  void write(const std::string* key, const std::string& value, const Headers& headers, Done done);
  void poll();

 private:
  struct Producer;
  explicit Writer(std::unique_ptr<Producer> producer);
  const std::unique_ptr<Producer> producer_;
};

}  // namespace courier::kafka
