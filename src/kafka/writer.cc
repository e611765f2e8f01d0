#include "kafka/writer.h"

#include <librdkafka/rdkafka.h>

#include "kafka/errc.h"
#include "kafka/library.h"

namespace courier::kafka {
namespace {

constexpr int kFlushMs = 1'000;

}  // namespace

struct Writer::Producer {
  ~Producer() {
    if (!handle) return;
    telling = false;
    rd_kafka_purge(handle, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    rd_kafka_flush(handle, kFlushMs);
    rd_kafka_queue_destroy(queue);
    rd_kafka_destroy(handle);
  }
  static void delivered(rd_kafka_t*, const rd_kafka_message_t* message, void* opaque) {
    const std::unique_ptr<Done> done(static_cast<Done*>(message->_private));
    if (!static_cast<Producer*>(opaque)->telling) return;
    (*done)(message->err
                ? Result<void>(fail(errc::away, not_taken(message->err, rd_kafka_topic_name(message->rkt))))
                : Result<void>());
  }

  std::string topic;
  rd_kafka_t* handle = nullptr;
  rd_kafka_queue_t* queue = nullptr;
  bool telling = true;
  std::vector<std::pair<Done, Error>> refused;  // at once; told by poll()
};

Writer::Writer(std::unique_ptr<Producer> producer) : producer_(std::move(producer)) {}
Writer::~Writer() = default;

Result<std::unique_ptr<Writer>> Writer::open(const WriterOptions& options) {
  auto producer = std::make_unique<Producer>();
  producer->topic = options.topic;
  Properties settings{
      {"client.id", "courier-relay"},
      {"compression.type", "zstd"},
      {"partitioner", "murmur2_random"},
      {"message.timeout.ms", "0"},
      // What was small enough to be read comes back with a few headers more.
      {"message.max.bytes", "100000000"},
      {"log_level", "4"},
  };
  settings.insert(settings.end(), options.properties.begin(), options.properties.end());
  settings.emplace_back("enable.idempotence", "true");
  settings.emplace_back("acks", "all");
  auto handle = start(RD_KAFKA_PRODUCER, settings, [&](rd_kafka_conf_t* conf) {
    rd_kafka_conf_set_opaque(conf, producer.get());
    rd_kafka_conf_set_dr_msg_cb(conf, Producer::delivered);
  });
  if (!handle) return fail(std::move(handle.error()));
  producer->handle = *handle;
  producer->queue = rd_kafka_queue_get_main(producer->handle);
  const uint64_t one = 1;
  rd_kafka_queue_io_event_enable(producer->queue, options.wake_fd, &one, sizeof one);
  return std::unique_ptr<Writer>(new Writer(std::move(producer)));
}

void Writer::write(const std::string* key, const std::string& value, const Headers& headers, Done done) {
  rd_kafka_headers_t* list = rd_kafka_headers_new(headers.size());
  for (const auto& [name, text] : headers) {
    rd_kafka_header_add(list, name.c_str(), static_cast<ssize_t>(name.size()), text.data(),
                        static_cast<ssize_t>(text.size()));
  }
  auto kept = std::make_unique<Done>(std::move(done));
  const rd_kafka_resp_err_t error = rd_kafka_producev(
      producer_->handle, RD_KAFKA_V_TOPIC(producer_->topic.c_str()), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
      RD_KAFKA_V_KEY(key ? key->data() : nullptr, key ? key->size() : 0),
      RD_KAFKA_V_VALUE(const_cast<char*>(value.data()), value.size()), RD_KAFKA_V_HEADERS(list),
      RD_KAFKA_V_OPAQUE(kept.get()), RD_KAFKA_V_END);
  if (error == RD_KAFKA_RESP_ERR_NO_ERROR) {
    (void)kept.release();  // delivered() has it
    return;
  }
  rd_kafka_headers_destroy(list);
  producer_->refused.emplace_back(std::move(*kept),
                                  Error(make_error_code(errc::away), not_taken(error, producer_->topic)));
}

void Writer::poll() {
  rd_kafka_poll(producer_->handle, 0);
  std::vector<std::pair<Done, Error>> refused;
  refused.swap(producer_->refused);
  for (auto& [done, error] : refused) done(fail(std::move(error)));
}

}  // namespace courier::kafka
