#include "ledger.h"

#include <algorithm>
#include <bit>
#include <charconv>

#include <fmt/format.h>

#include "base/check.h"
#include "mqtt/topic.h"

namespace courier::fault {

namespace {

constexpr size_t kFaultsMax = 200;

uint64_t number_of(std::string_view payload) {
  uint64_t id = 0;
  std::from_chars(payload.data(), payload.data() + payload.size(), id);
  return id;
}

}  // namespace

Ledger::ReceiverIndex Ledger::add(Receiver receiver) {
  CHECK(receivers_.size() < kReceiversMax);
  receivers_.push_back({.receiver = std::move(receiver)});
  return static_cast<ReceiverIndex>(receivers_.size() - 1);
}

Ledger::TopicIndex Ledger::add(Topic topic) {
  const auto index = static_cast<TopicIndex>(topics_.size());
  topics_by_name_.emplace(topic.name, index);
  topics_.push_back({.topic = std::move(topic)});
  return index;
}

Ledger::Mask Ledger::entitled_to(const std::string& topic) const {
  Mask mask = 0;
  for (size_t i = 0; i < receivers_.size(); ++i) {
    for (const std::string& filter : receivers_[i].filters) {
      if (mqtt::matches(filter, topic)) mask |= Mask{1} << i;
    }
  }
  return mask;
}

void Ledger::entitle(ReceiverIndex receiver, const std::string& filter) {
  auto& filters = receivers_[receiver].filters;
  if (std::find(filters.begin(), filters.end(), filter) == filters.end()) filters.push_back(filter);
}

void Ledger::withdraw(ReceiverIndex receiver, const std::string& filter) {
  std::erase(receivers_[receiver].filters, filter);
  for (Message& message : messages_) {
    if (message.state == State::open) message.entitled &= entitled_to(topics_[message.topic].topic.name);
  }
}

Ledger::MessageId Ledger::sent(TopicIndex topic, bool deletes) {
  TopicBook& book = topics_[topic];
  ++book.sent;
  messages_.push_back({.topic = topic, .deletes = deletes, .entitled = entitled_to(book.topic.name)});
  const MessageId id = first_ + messages_.size() - 1;
  if (book.topic.retain) book.retained_later.push_back(id);
  return id;
}

Ledger::Message* Ledger::find(MessageId id) {
  return id < first_ || id >= first_ + messages_.size() ? nullptr : &messages_[id - first_];
}

Ledger::TopicBook* Ledger::topic_named(std::string_view name) {
  const auto at = topics_by_name_.find(name);
  return at == topics_by_name_.end() ? nullptr : &topics_[at->second];
}

void Ledger::close(MessageId id, State state) {
  Message* message = find(id);
  CHECK(message && message->state == State::open);
  message->state = state;
}

void Ledger::accepted(MessageId id) {
  close(id, State::accepted);
  const Message& message = *find(id);
  TopicBook& book = topics_[message.topic];
  ++book.accepted;
  ++accepted_;
  for (size_t i = 0; i < receivers_.size(); ++i) {
    if (message.entitled >> i & 1) ++receivers_[i].must;
  }
  owed_ += static_cast<uint64_t>(std::popcount(message.entitled & ~message.delivered));
  if (book.topic.retain && id > book.retained_since) {
    book.retained_since = id;
    std::erase_if(book.retained_later, [&](MessageId other) { return other < id; });
  }
}

void Ledger::refused(MessageId id) {
  close(id, State::refused);
  ++topics_[find(id)->topic].refused;
  ++refused_;
}

void Ledger::unsure(MessageId id) {
  close(id, State::unsure);
  ++topics_[find(id)->topic].unsure;
}

void Ledger::wrong(std::string what) {
  if (faults_.size() < kFaultsMax) faults_.push_back(std::move(what));
}

void Ledger::delivered(ReceiverIndex receiver, std::string_view topic, std::string_view payload) {
  ++delivered_;
  ReceiverBook& book = receivers_[receiver];
  const MessageId id = number_of(payload);
  TopicBook* topic_book = topic_named(topic);
  if (id == 0 || id >= first_ + messages_.size() || !topic_book) {
    return wrong(
        fmt::format("{} got \"{:.40}\" on {}, which nobody published", book.receiver.name, payload, topic));
  }
  const bool exactly_once =
      topic_book->topic.qos == mqtt::Qos::exactly_once && book.receiver.qos == mqtt::Qos::exactly_once;
  Message* message = find(id);
  if (!message) {
    // So old that all was settled twice: whoever gets it had it.
    ++book.again;
    if (exactly_once) {
      ++book.twice;
      wrong(fmt::format("{} got QoS 2 message {} on {} long after it was settled", book.receiver.name, id,
                        topic));
    }
    return;
  }
  if (topics_[message->topic].topic.name != topic) {
    return wrong(fmt::format("{} got message {} on {}; it was published to {}", book.receiver.name, id, topic,
                             topics_[message->topic].topic.name));
  }
  const Mask bit = Mask{1} << receiver;
  if (message->delivered & bit) {
    ++book.again;
    if (!exactly_once) return;
    ++book.twice;
    return wrong(fmt::format("{} got QoS 2 message {} on {} twice", book.receiver.name, id, topic));
  }
  message->delivered |= bit;
  ++book.got;
  if (message->state == State::accepted && message->entitled & bit) --owed_;
  if (!book.receiver.ordered || !topic_book->topic.ordered) return;
  if (book.newest.size() < topics_.size()) book.newest.resize(topics_.size());
  MessageId& newest = book.newest[message->topic];
  // A publisher whose session is gone sends again what was not answered: who subscribed only then gets for
  // the first time what others had before the newest.
  if (id < newest && message->entitled & bit) {
    ++book.late;
    wrong(fmt::format("{} got message {} on {} after {}, which was published later", book.receiver.name, id,
                      topic, newest));
  }
  newest = std::max(newest, id);
}

// --- retained ---

void Ledger::begin_retained() {
  for (TopicBook& book : topics_) book.found.reset();
}

void Ledger::retained(std::string_view topic, std::string_view payload) {
  TopicBook* book = topic_named(topic);
  const MessageId id = number_of(payload);
  if (!book || !book->topic.retain) {
    return wrong(
        fmt::format("{} has the retained message \"{:.40}\", which nobody published", topic, payload));
  }
  if (id < book->retained_since) {
    wrong(fmt::format("the retained message of {} is {}, but {} was accepted after it", topic, id,
                      book->retained_since));
  } else if (std::find(book->retained_later.begin(), book->retained_later.end(), id) ==
             book->retained_later.end()) {
    wrong(fmt::format("the retained message of {} is {}, which was not published there", topic, id));
  }
  book->found = id;
}

bool Ledger::may_be_absent(const TopicBook& book) const {
  if (book.retained_since == 0) return true;
  return std::any_of(book.retained_later.begin(), book.retained_later.end(), [&](MessageId id) {
    const auto index = id - first_;
    return id >= first_ && messages_[index].deletes;
  });
}

size_t Ledger::missing_retained() const {
  return static_cast<size_t>(std::count_if(topics_.begin(), topics_.end(), [&](const TopicBook& book) {
    return book.topic.retain && !book.found && !may_be_absent(book);
  }));
}

void Ledger::judge_retained() {
  for (const TopicBook& book : topics_) {
    if (book.topic.retain && !book.found && !may_be_absent(book)) {
      wrong(fmt::format("{} has no retained message; {} was accepted", book.topic.name, book.retained_since));
    }
  }
}

// --- the end of a round ---

void Ledger::judge_owed() {
  for (size_t i = 0; i < messages_.size(); ++i) {
    const Message& message = messages_[i];
    const Mask missing = message.state == State::accepted ? message.entitled & ~message.delivered : 0;
    for (size_t r = 0; r < receivers_.size(); ++r) {
      if (!(missing >> r & 1)) continue;
      const Topic& topic = topics_[message.topic].topic;
      wrong(fmt::format("{} never got message {} on {} (QoS {}), which was accepted",
                        receivers_[r].receiver.name, first_ + i, topic.name, static_cast<int>(topic.qos)));
    }
  }
}

void Ledger::settle() {
  CHECK(owed_ == 0);
  // One round is kept: what nobody could be sure of may still be on its way. So are the retained messages.
  MessageId keep = settled_before_;
  for (const TopicBook& book : topics_) {
    if (!book.retained_later.empty()) keep = std::min(keep, book.retained_later.front());
  }
  while (first_ < keep && messages_.front().state != State::open) {
    messages_.pop_front();
    ++first_;
  }
  settled_before_ = first_ + messages_.size();
}

std::string Ledger::reconciliation() const {
  std::string out = fmt::format("{:<14} {:>4} {:>9} {:>9} {:>9} {:>9}\n", "topic", "qos", "sent", "accepted",
                                "refused", "unsure");
  for (const TopicBook& book : topics_) {
    out += fmt::format("{:<14} {:>4} {:>9} {:>9} {:>9} {:>9}\n", book.topic.name,
                       static_cast<int>(book.topic.qos), book.sent, book.accepted, book.refused, book.unsure);
  }
  std::vector<uint64_t> missing(receivers_.size());
  for (const Message& message : messages_) {
    if (message.state != State::accepted) continue;
    for (size_t r = 0; r < receivers_.size(); ++r)
      missing[r] += (message.entitled & ~message.delivered) >> r & 1;
  }
  out += fmt::format("\n{:<14} {:>4} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9}\n", "receiver", "qos", "must have",
                     "got", "repeated", "lost", "twice", "order");
  for (size_t r = 0; r < receivers_.size(); ++r) {
    const ReceiverBook& book = receivers_[r];
    out += fmt::format("{:<14} {:>4} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9}\n", book.receiver.name,
                       static_cast<int>(book.receiver.qos), book.must, book.got, book.again, missing[r],
                       book.twice, book.late);
  }
  return out;
}

std::string Ledger::payload(MessageId id, size_t size) {
  std::string text = std::to_string(id) + ' ';
  if (text.size() < size) text.resize(size, '.');
  return text;
}

}  // namespace courier::fault
