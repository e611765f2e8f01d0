// Reads topics of Kafka as one member of a consumer group.
//
// Owned by one thread, which calls all of it and is called back from within poll() and leave(); only the file
// descriptor `wake_fd`, an eventfd, is written by librdkafka's threads, when there is something to poll.
//
// 1. Nothing is committed but by commit() and on_revoked(): how far all is done is the owner's to know.
// 2. Messages of a partition come in the order of their offsets, between its on_assigned() and its
//    on_revoked().
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"

namespace courier::kafka {

struct Partition {
  std::string topic;
  int32_t number = 0;
  auto operator<=>(const Partition&) const = default;
};

// Where whoever reads the partition next begins.
struct Offset {
  Partition partition;
  int64_t next = 0;
};

struct Message {
  Partition partition;
  int64_t offset = 0;
  bool has_key = false;
  std::string key, value;
  std::vector<std::pair<std::string, std::string>> headers;

  // The first of that name, or nullptr.
  const std::string* header(std::string_view name) const;
  size_t bytes() const;  // about what it takes in memory
};

class Member {
 public:
  virtual ~Member() = default;
  // These are ours from now on, beside those that were.
  virtual void on_assigned(std::span<const Partition> partitions) = 0;
  // These no longer are. What is returned is committed before anybody else gets them, unless they are lost
  // already.
  virtual std::vector<Offset> on_revoked(std::span<const Partition> partitions) = 0;
  // False: poll() comes back, though there may be more.
  virtual bool on_message(Message message) = 0;
  // What commit() began has failed.
  virtual void on_commit_failed(std::span<const Partition> partitions) = 0;
};

struct GroupOptions {
  std::string group;
  std::vector<std::string> topics;
  std::vector<std::pair<std::string, std::string>> properties;  // librdkafka's, bootstrap.servers among them
  int wake_fd = -1;
};

class Group {
 public:
  // Does not wait for Kafka. `member` outlives it. Errors: bad_options.
  static Result<std::unique_ptr<Group>> join(const GroupOptions& options, Member& member);
  // Without leave() as if the process had died: the member is not called, and the group notices when the
  // session's time is over.
  ~Group();
  Group(const Group&) = delete;
  Group& operator=(const Group&) = delete;

  // Calls the member with what is there, at most so many messages; false: that was all. Does not wait. At
  // least once a minute, or the group goes on without us.
  bool poll(size_t messages_max);
  void pause(std::span<const Partition> partitions);
  void resume(std::span<const Partition> partitions);
  // Begins; only a failure is told.
  void commit(std::span<const Offset> offsets);
  // How many messages there are from `next` on, as far as is known; else 0.
  int64_t behind(const Offset& next) const;
  // Whether brokers answer and the group has let us in, as of a second ago.
  bool connected() const;

  // BLOCKS. Gives all partitions back, on_revoked() among it, and leaves.
  void leave();

 private:
  struct Consumer;
  explicit Group(std::unique_ptr<Consumer> consumer);
  const std::unique_ptr<Consumer> consumer_;
};

}  // namespace courier::kafka
